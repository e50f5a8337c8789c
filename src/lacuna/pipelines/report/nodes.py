"""Compose the report and draw its figures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from lacuna.evaluation import Tables
from lacuna.pipelines.checks import check_recovery, check_same_corpus, check_scores
from lacuna.pipelines.parameters import Evaluate
from lacuna.reporting import Report, composed, curves, run_facts, subsets
from lacuna.training import TrainedRecognizer


def compose_report(
    *,
    summary: pd.DataFrame,
    areas: pd.DataFrame,
    comparisons: pd.DataFrame,
    confusion: pd.DataFrame,
    calibration: pd.DataFrame,
    risk_coverage: pd.DataFrame,
    sureness: pd.DataFrame,
    examples: pd.DataFrame,
    scores: pd.DataFrame,
    history: pd.DataFrame,
    recovery: pd.DataFrame,
    points: pd.DataFrame,
    dynamics: pd.DataFrame,
    recognizers: list[TrainedRecognizer],
    corpus_facts: dict[str, Any],
    evaluate: Evaluate,
    parameters: dict[str, Any],
) -> Report:
    """Return all tables of a run with the facts that a reader needs to trust or repeat it."""
    check_same_corpus(recognizers, corpus_facts["digest"], corpus_facts["name"])
    check_scores(scores, recognizers, corpus_facts)
    check_recovery(recovery, points, recognizers)
    facts = run_facts(recognizers, corpus_facts, parameters, level=evaluate.level, resamples=evaluate.replicates)
    tables = Tables(scores, summary, areas, comparisons, confusion, calibration, risk_coverage, sureness)
    long = {"history": history, "recovery": recovery, "points": points, "examples": examples, "dynamics": dynamics}
    return composed(facts, tables, recognizers, **long)


def draw_figures(summary: pd.DataFrame) -> tuple[go.Figure, go.Figure]:
    """Return the two main figures by themselves, for Kedro-Viz: metric against rate, and the subsets of modalities."""
    return curves(summary), subsets(summary)
