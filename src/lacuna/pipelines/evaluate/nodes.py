"""Score every recogniser under the same missing data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.evaluation import (
    brief,
    dynamics_table,
    example_table,
    judge_recoveries,
    learning_table,
    primary,
    robustness_table,
    sweep_all,
    tabulate,
)
from lacuna.evaluation.sweep import Sweep
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.parameters import Evaluate
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

SELECTED_UNDER = ("pattern", "valid_rates", "valid_mask_seeds")  # training settings that a validation metric is taken under


def score_recognizers(
    corpus: Corpus, development: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate
) -> tuple[*tuple[pd.DataFrame, ...], list[Sweep]]:
    """Score each recogniser under all patterns, rates and mask seeds, and return the tables.

    Args:
        corpus: the test split.
        development: with the training labels, from which the majority-class (or mean) baseline is made.
        recognizers: what to score; on a generated corpus the best possible answers are scored as well.
        evaluate: the protocol.

    Returns:
        The tables of :func:`lacuna.evaluation.tabulate`, and the counts of every dialogue, from which all of them follow.
    """
    config = evaluate.config()
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    labels = development.only("train").utterances.labels[recognizers[0].schema.target.name]
    how: dict[str, Any] = {"device": evaluate.device, "threads": evaluate.threads, "workers": evaluate.workers}
    sweeps = sweep_all(recognizers, corpus, config, labels, **how)
    return (*tabulate(sweeps, config), sweeps)


def score_recoveries(
    corpus: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the quality of recovered values.

    Args:
        corpus: the test split.
        recognizers: those that recover nothing are skipped.
        evaluate: the protocol.

    Returns:
        The tables of :func:`lacuna.evaluation.judge_recoveries`.
    """
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    with reproducible(evaluate.threads):
        return judge_recoveries(
            recognizers, corpus, evaluate.config(), evaluate.recovery_rates, device=pick_device(evaluate.device)
        )


def show_examples(corpus: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate) -> pd.DataFrame:
    """Return the predictions for a few test utterances, one row for each utterance and variant.

    Args:
        corpus: the test split.
        recognizers: the first of each variant is shown.
        evaluate: the protocol.
    """
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    with reproducible(evaluate.threads):
        return example_table(recognizers, corpus, evaluate.config(), device=pick_device(evaluate.device))


def score_dynamics(corpus: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate) -> pd.DataFrame:
    """Return change, state and transition scores of the dialogues with nothing missing; empty if the corpus has none.

    Args:
        corpus: the test split.
        recognizers: what to score.
        evaluate: the protocol.
    """
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    with reproducible(evaluate.threads):
        return dynamics_table(recognizers, corpus, evaluate.config(), device=pick_device(evaluate.device))


def brief_results(
    summary: pd.DataFrame, areas: pd.DataFrame, history: pd.DataFrame, recognizers: list[TrainedRecognizer]
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return the main numbers and two small tables, for tools that compare runs.

    Args:
        summary: means with intervals.
        areas: areas under the curves.
        history: a row an epoch.
        recognizers: those that were scored. The best one on validation is chosen if all were validated under the same pattern,
            rates and mask seeds; otherwise their numbers cannot be compared, and none is chosen.

    Returns:
        The metrics of :func:`lacuna.evaluation.key_figures`, the main metric by missing rate, and the learning curves.
    """
    metric = primary(recognizers[0].schema.target)
    values: dict[str, list[float]] = {}
    for trained in recognizers:
        values.setdefault(trained.variant, []).append(trained.selection.value)
    protocols = {tuple(str(trained.selection.training.get(name)) for name in SELECTED_UNDER) for trained in recognizers}
    chosen = max(values, key=lambda variant: sum(values[variant]) / len(values[variant])) if len(protocols) == 1 else None
    return brief(summary, areas, metric, chosen), robustness_table(summary, metric), learning_table(history)
