"""A finding, and what all findings are made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.frames import records
from lacuna.reporting.core.words import higher_is_better, interval, subset_label
from lacuna.reporting.robustness.facts import Report


@dataclass(frozen=True)
class Finding:
    """A sentence or two.

    Attributes:
        topic: two or three words that head it.
        text: plain text.
        caution: says what the reader must not conclude.
    """

    topic: str
    text: str
    caution: bool = False


def primary_rows(report: Report) -> pd.DataFrame:
    """The rows of the primary metric, without references."""
    own = report.summary
    return own[(own["metric"] == report.primary) & ~own["model"].isin(report.references)]


def best_first(report: Report, rows: pd.DataFrame, measure: str = "auilc") -> list[Any]:
    """Rows as tuples, best mean first; what was not measured is left out."""
    higher = higher_is_better(report.primary, measure)
    own = rows.dropna(subset=["mean"]).sort_values(["mean", "model"], ascending=[not higher, True])
    return records(own)


def bracketed(low: float, high: float) -> str:
    """An interval in brackets after a space, or nothing if there is none."""
    span = interval(low, high)
    return f" ({span})" if span else ""


def where(pattern: str, setting: str) -> str:
    """Under which pattern, by its code name, or with which modalities."""
    if pattern == FIXED:
        return f"with only {subset_label(setting)}" if setting else "over the subsets of modalities"
    return f"under {pattern}{f' ({setting})' if setting else ''}"


def enough(parts: list[str], most: int = 10) -> str:
    """Clauses with semicolons between; long lists are cut with a count."""
    return "; ".join(parts if len(parts) <= most else [*parts[: most - 1], f"and {len(parts) - most + 1} more"])
