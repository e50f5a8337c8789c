"""A report put together from tables and recognisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lacuna.evaluation import CEILINGS, Tables, primary, summarise_recovery
from lacuna.reporting.robustness.facts import ModelFacts, Report, RunFacts
from lacuna.training.trained import TrainedRecognizer


def composed(
    facts: RunFacts,
    tables: Tables,
    recognizers: Sequence[TrainedRecognizer],
    *,
    history: pd.DataFrame,
    recovery: pd.DataFrame,
    points: pd.DataFrame,
) -> Report:
    """The report of one run.

    Args:
        facts: what was run.
        tables: of the evaluation.
        recognizers: of all models and seeds, in the order of the run.
        history: of training, one row an epoch.
        recovery: of :func:`lacuna.evaluation.score_recovery`.
        points: of :func:`lacuna.evaluation.recovered_points`.
    """
    by_label: dict[str, list[TrainedRecognizer]] = {}
    for trained in recognizers:
        by_label.setdefault(trained.variant, []).append(trained)
    given: Mapping[str, Any] = tables._asdict()
    return Report(
        facts=facts,
        **given,
        primary=primary(recognizers[0].schema.target),
        history=history,
        recovery=summarise_recovery(recovery, facts.level),
        points=points,
        models={label: ModelFacts.of(own) for label, own in by_label.items()},
        references=references_of(by_label, tables.summary),
    )


def references_of(by_label: Mapping[str, Sequence[TrainedRecognizer]], summary: pd.DataFrame) -> tuple[str, ...]:
    """What is shown in grey and never ranked: the constant answer as a model, and known ceilings."""
    constant = [label for label, own in by_label.items() if own[0].name == "prior"]
    return tuple(name for name in (*constant, *CEILINGS) if (summary["model"] == name).any())
