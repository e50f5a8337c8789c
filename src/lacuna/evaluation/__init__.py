"""Scores under missing data: the sweep, bootstrap intervals, paired comparisons and recovery quality.

``EvaluationConfig().plans(modalities)`` -> :func:`sweep` of a model and seed -> :func:`bootstrap` of all sweeps ->
:func:`summarise`, :func:`areas`, :func:`compare`. :func:`score_recovery` measures recovered values, and
:func:`summarise_recovery` takes means over training seeds.
"""

from lacuna.evaluation.ceiling import CEILINGS, has_ceiling, sweep_ceilings
from lacuna.evaluation.conditions import Condition, EvaluationConfig, PatternSpec
from lacuna.evaluation.contributions import contributions, log_odds
from lacuna.evaluation.dynamics import dynamics_table
from lacuna.evaluation.evaluate import sweep_all
from lacuna.evaluation.examples import example_table
from lacuna.evaluation.key_figures import brief, learning_table, robustness_table
from lacuna.evaluation.outside import answered_subsets, sweep_answers
from lacuna.evaluation.predict import Predictions, predict
from lacuna.evaluation.prediction_table import predict_frame
from lacuna.evaluation.recovery.collect import RecoveryConfig
from lacuna.evaluation.recovery.projection import recovered_points
from lacuna.evaluation.recovery.quality import score_recovery
from lacuna.evaluation.recovery.summary import summarise_recovery
from lacuna.evaluation.replicates import Bootstrap, bootstrap
from lacuna.evaluation.report_tables import Tables, judge_recoveries, tabulate
from lacuna.evaluation.sweep import Sweep, sweep
from lacuna.evaluation.tables import above_ceiling, against_baseline, areas, compare, summarise
from lacuna.metrics.counts import Counts, baseline_counts, count
from lacuna.metrics.curves import auilc, effective_robustness, relative_robustness
from lacuna.metrics.scores import METRICS, Metric, metric, metrics_of, primary, score

__all__ = [
    "CEILINGS",
    "METRICS",
    "Bootstrap",
    "Condition",
    "Counts",
    "EvaluationConfig",
    "Metric",
    "PatternSpec",
    "Predictions",
    "RecoveryConfig",
    "Sweep",
    "Tables",
    "above_ceiling",
    "against_baseline",
    "answered_subsets",
    "areas",
    "auilc",
    "baseline_counts",
    "bootstrap",
    "brief",
    "compare",
    "contributions",
    "count",
    "dynamics_table",
    "effective_robustness",
    "example_table",
    "has_ceiling",
    "judge_recoveries",
    "learning_table",
    "log_odds",
    "metric",
    "metrics_of",
    "predict",
    "predict_frame",
    "primary",
    "recovered_points",
    "relative_robustness",
    "robustness_table",
    "score",
    "score_recovery",
    "summarise",
    "summarise_recovery",
    "sweep",
    "sweep_all",
    "sweep_answers",
    "sweep_ceilings",
    "tabulate",
]
