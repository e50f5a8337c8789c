"""Put every recogniser through the same missing data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.evaluation import brief, judge_recoveries, learning_table, primary, robustness_table, sweep_all, tabulate
from lacuna.evaluation.report_tables import Tables
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.parameters import Evaluate
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

SELECTED_UNDER = ("pattern", "valid_rates", "valid_mask_seeds")  # training settings that a validation metric is taken under


def score_recognizers(corpus: Corpus, development: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate) -> Tables:
    """Sweep all patterns, rates and mask seeds for each recogniser, and bring the results into tables.

    Args:
        corpus: the test split.
        development: whose training labels make the constant answer.
        recognizers: what to score; on a generated corpus the best possible answers are scored beside them.
        evaluate: the protocol.

    Returns:
        Scores (tidy, one row a measurement), summary (means with intervals), areas under the curves, paired comparisons, and
        confusion counts.
    """
    config = evaluate.config()
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    labels = development.only("train").utterances.labels[recognizers[0].schema.target.name]
    how: dict[str, Any] = {"device": evaluate.device, "threads": evaluate.threads, "workers": evaluate.workers}
    sweeps = sweep_all(recognizers, corpus, config, labels, **how)
    return tabulate(sweeps, config)


def score_recoveries(
    corpus: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge what recognisers fill in.

    Args:
        corpus: the test split.
        recognizers: those that recover nothing are passed over.
        evaluate: the protocol.

    Returns:
        The tables of :func:`lacuna.evaluation.judge_recoveries`.
    """
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    with reproducible(evaluate.threads):
        return judge_recoveries(
            recognizers, corpus, evaluate.config(), evaluate.recovery_rates, device=pick_device(evaluate.device)
        )


def brief_results(
    summary: pd.DataFrame, areas: pd.DataFrame, history: pd.DataFrame, recognizers: list[TrainedRecognizer]
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Bring the result into a few numbers and two small tables, for tools that compare runs.

    Args:
        summary: means with intervals.
        areas: areas under the curves.
        history: a row an epoch.
        recognizers: those that were scored; which of them is chosen, validation says, if it judged all of them under one pattern,
            with the same rates and mask seeds. Otherwise its numbers cannot be compared, and none is chosen.

    Returns:
        The metrics of :func:`lacuna.evaluation.key_figures`, the main metric by missing rate, and the learning curves.
    """
    metric = primary(recognizers[0].schema.target)
    values: dict[str, list[float]] = {}
    for trained in recognizers:
        values.setdefault(trained.variant, []).append(trained.selection.value)
    judged = {tuple(str(trained.selection.training.get(name)) for name in SELECTED_UNDER) for trained in recognizers}
    chosen = max(values, key=lambda label: sum(values[label]) / len(values[label])) if len(judged) == 1 else None
    return brief(summary, areas, metric, chosen), robustness_table(summary, metric), learning_table(history)
