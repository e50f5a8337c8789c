"""From sweeps to all tables of a report, and which recoveries are judged: one way for every command that makes a report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.bootstrap import Bootstrap, bootstrap
from lacuna.evaluation.conditions import FIXED, EvaluationConfig
from lacuna.evaluation.recovery.projection import POINT_COLUMNS, recovered_points
from lacuna.evaluation.recovery.quality import RecoveryConfig, score_recovery
from lacuna.evaluation.sweep import Sweep
from lacuna.evaluation.tables import CEILING, above_ceiling, above_constant, areas, compare, summarise
from lacuna.metrics.scores import primary
from lacuna.training.trained import TrainedRecognizer

logger = logging.getLogger(__name__)


class Tables(NamedTuple):
    """What :func:`tabulate` returns.

    Attributes:
        scores: tidy, one row a measurement.
        summary: means with intervals.
        areas: one number a curve.
        comparisons: paired differences.
        confusion: counts, training and mask seeds added up.
    """

    scores: pd.DataFrame
    summary: pd.DataFrame
    areas: pd.DataFrame
    comparisons: pd.DataFrame
    confusion: pd.DataFrame


def tabulate(sweeps: Sequence[Sweep], config: EvaluationConfig) -> Tables:
    """Every table that is made of sweeps; what should make one stop and think is logged as a warning.

    Args:
        sweeps: one a model and training seed, under the same plans.
        config: the protocol; its replicates, level and seed are used.
    """
    drawn = bootstrap(sweeps, config.replicates, config.seed)
    summary = summarise(drawn, config.level)
    _warn(drawn, summary)
    return Tables(
        pd.concat([s.scores() for s in sweeps], ignore_index=True),
        summary,
        areas(drawn, config.level),
        compare(drawn, level=config.level),
        _confusions(sweeps),
    )


def judge_recoveries(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    config: EvaluationConfig,
    rates: Sequence[float],
    device: torch.device | str = "cpu",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge what recognisers fill in, under the first mask seed only: at some rates, and for every subset of modalities.

    Args:
        recognizers: those that recover nothing are passed over.
        corpus: the test split.
        config: the protocol.
        rates: at which of its rates.
        device: where to compute.

    Returns:
        The tables of :func:`lacuna.evaluation.score_recovery` and of :func:`lacuna.evaluation.recovered_points` (under the first
        of the patterns), empty if no recogniser recovers.
    """
    able = [trained for trained in recognizers if trained.model.recovers]
    plans = [
        plan
        for plan in config.plans([m.name for m in corpus.modalities])
        if plan.seed == config.mask_seeds[0] and (plan.pattern.name == FIXED or plan.rate in rates)
    ]
    judging = RecoveryConfig(replicates=config.replicates, level=config.level, seed=config.seed)
    shown = sorted((plan for plan in plans if plan.rate > 0), key=lambda plan: plan.pattern.name == FIXED)[:1]
    scores = score_recovery(able, corpus, plans, judging, device=device)
    points = [recovered_points(able, corpus, plan, device=device) for plan in shown]
    return scores, (points or [pd.DataFrame(columns=POINT_COLUMNS)])[0]


def _warn(drawn: Bootstrap, summary: pd.DataFrame) -> None:
    """Say what should make one stop and think."""
    below = above_constant(summary[summary["metric"] == primary(drawn.target)])
    for name, rows in below[below["verdict"] == "below"].groupby("model"):
        logger.warning("%s is worse than the constant answer in %d of %d conditions", name, len(rows), len(drawn.settings))
    if CEILING in drawn.models:
        for row in above_ceiling(drawn).itertuples():
            where = f"{row.pattern} {row.setting}".strip()
            logger.warning("%s is more accurate than the best possible answers under %s: is there a leak?", row.model_a, where)


def _confusions(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Confusion counts summed over training and mask seeds."""
    everything = pd.concat([s.confusions() for s in sweeps], ignore_index=True)
    if everything.empty:
        return everything
    keys = ["model", "pattern", "setting", "rate", "true", "predicted"]
    return everything.groupby(keys, sort=False)["count"].sum().reset_index()
