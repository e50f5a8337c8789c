"""All tables of a report from sweeps and recognisers, the same for every command that builds a report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.conditions import FIXED, EvaluationConfig
from lacuna.evaluation.probabilities import calibration_table, risk_coverage_table, sureness_table
from lacuna.evaluation.recovery.collect import Collector, RecoveryConfig
from lacuna.evaluation.recovery.projection import POINT_COLUMNS, point_table
from lacuna.evaluation.recovery.quality import QUALITY_COLUMNS, measuring_of, quality_rows
from lacuna.evaluation.replicates import Bootstrap, bootstrap
from lacuna.evaluation.sweep import Sweep
from lacuna.evaluation.tables import CEILING, above_ceiling, against_baseline, areas, compare, summarise
from lacuna.metrics.scores import primary
from lacuna.progress import progress, tracked
from lacuna.training.trained import TrainedRecognizer

logger = logging.getLogger(__name__)


class Tables(NamedTuple):
    """Tables of :func:`tabulate`.

    Attributes:
        scores: tidy, one row for each measurement.
        summary: means with intervals.
        areas: one number for each curve.
        comparisons: paired differences of models.
        confusion: confusion counts, summed over training and mask seeds.
        calibration: confidence and accuracy by bin; no rows for values.
        risk_coverage: error rate of the most confident share; no rows for values.
        sureness: coverage and size of prediction sets, and errors of sure answers, by available modalities.
    """

    scores: pd.DataFrame
    summary: pd.DataFrame
    areas: pd.DataFrame
    comparisons: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame
    risk_coverage: pd.DataFrame
    sureness: pd.DataFrame


def tabulate(sweeps: Sequence[Sweep], config: EvaluationConfig) -> Tables:
    """Return every table of some sweeps; log a warning for scores below the baseline or above the ceiling.

    Args:
        sweeps: one for each model and training seed, under the same plans.
        config: the protocol; its replicates, level and seed are used.
    """
    with progress("tables", 5) as shown:
        shown.update(0, "bootstrap")
        drawn = bootstrap(sweeps, config.replicates, config.seed)
        shown.update(1, "intervals")
        summary = summarise(drawn, config.level)
        _warn(drawn, summary)
        shown.update(2, "areas under the curves")
        curve_areas = areas(drawn, config.level)
        shown.update(3, "comparisons of models")
        comparisons = compare(drawn, level=config.level)
        shown.update(4, "scores")
        scores = pd.concat([s.scores() for s in sweeps], ignore_index=True)
        return Tables(
            scores,
            summary,
            curve_areas,
            comparisons,
            _confusions(sweeps),
            calibration_table(sweeps),
            risk_coverage_table(sweeps),
            sureness_table(sweeps),
        )


def judge_recoveries(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    config: EvaluationConfig,
    rates: Sequence[float],
    device: torch.device | str = "cpu",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the quality of recovered values, at some rates and for every subset of modalities, with the first mask seed.

    The corpus is read once for each mask: both tables follow from the same sums.

    Args:
        recognizers: those with ``recovers = False`` are skipped.
        corpus: the test split.
        config: the protocol.
        rates: missing rates of the protocol at which values are compared.
        device: where to compute.

    Returns:
        The tables of :func:`lacuna.evaluation.score_recovery` and of :func:`lacuna.evaluation.recovered_points` (under the first
        pattern that is not ``fixed``), empty if no recogniser recovers.
    """
    recovering = [trained for trained in recognizers if trained.model.recovers]
    rows, points = [], pd.DataFrame(columns=POINT_COLUMNS)
    if recovering and len(corpus):
        plans = [
            plan
            for plan in config.plans([m.name for m in corpus.modalities])
            if plan.seed == config.mask_seeds[0] and (plan.pattern.name == FIXED or plan.rate in rates)
        ]
        shown = sorted((plan for plan in plans if plan.rate > 0), key=lambda plan: plan.pattern.name == FIXED)[:1]
        settings = RecoveryConfig(replicates=config.replicates, level=config.level, seed=config.seed)
        collector = Collector(recovering, corpus, settings, device)
        measuring = measuring_of(collector)
        for plan in tracked(plans, "judging recovered values"):
            sums = collector.collect(plan)
            rows += quality_rows(corpus.name, sums, measuring)
            if plan in shown:
                points = point_table(corpus.name, sums)
    return pd.DataFrame(rows, columns=QUALITY_COLUMNS), points


def _warn(drawn: Bootstrap, summary: pd.DataFrame) -> None:
    """Log models that are worse than the baseline, or more accurate than the ceiling."""
    verdicts = against_baseline(summary[summary["metric"] == primary(drawn.target)])
    baseline = "mean" if drawn.target.task == "regression" else "majority-class"
    for name, rows in verdicts[verdicts["verdict"] == "below"].groupby("model"):
        n = len(drawn.settings)
        logger.warning("%s is worse than the %s baseline in %d of %d conditions", name, baseline, len(rows), n)
    if CEILING in drawn.models:
        for row in above_ceiling(drawn).itertuples():
            where = f"{row.pattern} {row.setting}".strip()
            logger.warning("%s is more accurate than the exact posterior under %s: check for a data leak", row.model_a, where)


def _confusions(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Return confusion counts summed over training and mask seeds."""
    counts = pd.concat([s.confusions() for s in sweeps], ignore_index=True)
    if counts.empty:
        return counts
    keys = ["model", "pattern", "setting", "rate", "true", "predicted"]
    return counts.groupby(keys, sort=False)["count"].sum().reset_index()
