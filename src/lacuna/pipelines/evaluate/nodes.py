"""Put every recogniser through the same missing data."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.evaluation import (
    Bootstrap,
    RecoveryConfig,
    Sweep,
    above_ceiling,
    above_constant,
    areas,
    bootstrap,
    brief,
    compare,
    has_ceiling,
    learning_table,
    primary,
    recovered_points,
    robustness_table,
    score_recovery,
    summarise,
    sweep,
    sweep_ceilings,
)
from lacuna.evaluation.points import POINT_COLUMNS
from lacuna.evaluation.protocol import FIXED
from lacuna.evaluation.tables import CEILING
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.parameters import Evaluate
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

logger = logging.getLogger(__name__)
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]


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
    target = recognizers[0].schema.target
    labels = development.only("train").utterances.labels[target.name]
    plans = config.plans([m.name for m in corpus.modalities])
    device = pick_device(evaluate.device)
    with reproducible(evaluate.threads):
        sweeps = [sweep(trained, corpus, plans, training_labels=labels, device=device) for trained in recognizers]
    if has_ceiling(corpus, target.name):
        sweeps += sweep_ceilings(corpus, plans, training_labels=labels)
    drawn = bootstrap(sweeps, config.replicates, config.seed)
    summary = summarise(drawn, config.level)
    _warn(drawn, summary)
    return (
        pd.concat([s.scores() for s in sweeps], ignore_index=True),
        summary,
        areas(drawn, config.level),
        compare(drawn, level=config.level),
        _confusions(sweeps),
    )


def score_recoveries(
    corpus: Corpus, recognizers: list[TrainedRecognizer], evaluate: Evaluate
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge what recognisers fill in, under the first mask seed only: at some rates, and for every subset of modalities.

    Args:
        corpus: the test split.
        recognizers: those that recover nothing are passed over.
        evaluate: the protocol.

    Returns:
        The tables of :func:`lacuna.evaluation.score_recovery` and of :func:`lacuna.evaluation.recovered_points` (under the first
        of the patterns), empty if no recogniser recovers.
    """
    config = evaluate.config()
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    able = [trained for trained in recognizers if trained.model.recovers]
    plans = [
        plan
        for plan in config.plans([m.name for m in corpus.modalities])
        if plan.seed == config.mask_seeds[0] and (plan.pattern.name == FIXED or plan.rate in evaluate.recovery_rates)
    ]
    judging = RecoveryConfig(replicates=config.replicates, level=config.level, seed=config.seed)
    device = pick_device(evaluate.device)
    shown = sorted((plan for plan in plans if plan.rate > 0), key=lambda plan: plan.pattern.name == FIXED)[:1]
    with reproducible(evaluate.threads):
        scores = score_recovery(able, corpus, plans, judging, device=device)
        points = [recovered_points(able, corpus, plan, device=device) for plan in shown]
    return scores, (points or [pd.DataFrame(columns=POINT_COLUMNS)])[0]


def brief_results(
    summary: pd.DataFrame, areas: pd.DataFrame, history: pd.DataFrame, recognizers: list[TrainedRecognizer]
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Bring the result into a few numbers and two small tables, for tools that compare runs.

    Args:
        summary: means with intervals.
        areas: areas under the curves.
        history: a row an epoch.
        recognizers: those that were scored; which of them is chosen, validation says.

    Returns:
        The metrics of :func:`lacuna.evaluation.brief`, the main metric by missing rate, and the learning curves.
    """
    metric = primary(recognizers[0].schema.target)
    values: dict[str, list[float]] = {}
    for trained in recognizers:
        values.setdefault(trained.label, []).append(trained.selection.value)
    chosen = max(values, key=lambda label: sum(values[label]) / len(values[label]))
    return brief(summary, areas, metric, chosen), robustness_table(summary, metric), learning_table(history)


def _warn(drawn: Bootstrap, summary: pd.DataFrame) -> None:
    """Say what should make one stop and think."""
    below = above_constant(summary[summary["metric"] == primary(drawn.target)])
    for name, rows in below[below["verdict"] == "below"].groupby("model"):
        logger.warning("%s is worse than the constant answer in %d of %d conditions", name, len(rows), len(drawn.settings))
    if CEILING in drawn.models:
        for row in above_ceiling(drawn).itertuples():
            where = f"{row.pattern} {row.setting}".strip()
            logger.warning("%s is more accurate than the best possible answers under %s: is there a leak?", row.model_a, where)


def _confusions(sweeps: list[Sweep]) -> pd.DataFrame:
    """Confusion counts summed over training and mask seeds."""
    tables = [s.confusions() for s in sweeps]
    everything = pd.concat(tables, ignore_index=True)
    if everything.empty:
        return everything
    keys = ["model", "pattern", "setting", "rate", "true", "predicted"]
    return everything.groupby(keys, sort=False)["count"].sum().reset_index()
