"""The best model under a pattern, and the models that do not differ significantly from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lacuna.reporting.core.frames import Panel, records, rows_where
from lacuna.reporting.core.words import higher_is_better, interval, listing, number
from lacuna.reporting.robustness.facts import Report

Pairs = dict[str, tuple[float, float, float]]  # by other model: difference, low, high


def primary_rows(report: Report) -> pd.DataFrame:
    """Return the rows of the main metric without references."""
    summary = report.summary
    return summary[(summary["metric"] == report.primary) & ~summary["model"].isin(report.references)]


def best_first(report: Report, rows: pd.DataFrame, measure: str = "auilc") -> list[Any]:
    """Return the rows as named tuples, best mean first; rows without a mean are left out."""
    higher = higher_is_better(report.primary, measure)
    return records(rows.dropna(subset=["mean"]).sort_values(["mean", "model"], ascending=[not higher, True]))


def leaders(report: Report, rows: pd.DataFrame, panel: Panel) -> list[Any]:
    """Return the models by area, best first, or by the mean over rates if there are no areas.

    Args:
        report: measured results.
        rows: rows of the main metric under ``panel``.
        panel: (pattern, setting).
    """
    if report.areas is not None:
        areas = rows_where(report.areas, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc")
        if ranked := best_first(report, areas[areas["model"].isin(rows["model"])]):
            return ranked
    if rows["rate"].nunique() == 1:
        return best_first(report, rows)
    return best_first(report, rows.groupby("model", as_index=False)["mean"].mean().assign(low=math.nan, high=math.nan))


def pairs_of(report: Report, panel: Panel, leader: str) -> Pairs:
    """Return difference and interval of the leader against each other model that it was compared with."""
    if report.comparisons is None:
        return {}
    rows = rows_where(report.comparisons, pattern=panel[0], setting=panel[1], metric=report.primary)
    pairs = {}
    for r in records(rows[rows["measure"].isin(["auilc", "at_rate"])]):
        if r.model_a == leader:
            pairs[r.model_b] = (r.difference, r.low, r.high)
        elif r.model_b == leader:
            pairs[r.model_a] = (-r.difference, -r.high, -r.low)
    return pairs


@dataclass(frozen=True)
class Rivals:
    """The models behind the leader, best first, by what is known of the difference.

    Attributes:
        worse: the interval of the paired difference excludes 0.
        tied: that interval contains 0.
        no_interval: the paired difference has no interval, as with a single dialogue.
        overlapping: no paired difference; intervals overlap or are unknown.
        separate: no paired difference; intervals do not overlap.
    """

    worse: tuple[str, ...]
    tied: tuple[str, ...]
    no_interval: tuple[str, ...]
    overlapping: tuple[str, ...]
    separate: tuple[str, ...]

    @classmethod
    def of(cls, ranked: list[Any], pairs: Pairs) -> Rivals:
        """Sort all models but the first.

        Args:
            ranked: rows with model, low and high, the leader first.
            pairs: as returned by :func:`pairs_of`.
        """
        groups: dict[str, list[str]] = {"worse": [], "tied": [], "no_interval": [], "overlapping": [], "separate": []}
        for r in ranked[1:]:
            if r.model in pairs:
                _, low, high = pairs[r.model]
                known = math.isfinite(low) and math.isfinite(high)
                group = ("worse" if low > 0 or high < 0 else "tied") if known else "no_interval"
            else:
                group = "separate" if r.high < ranked[0].low or r.low > ranked[0].high else "overlapping"
            groups[group].append(r.model)
        return cls(**{group: tuple(names) for group, names in groups.items()})

    @property
    def not_worse(self) -> tuple[str, ...]:
        """Return the models that are not known to be worse than the leader by a paired interval."""
        return self.tied + self.no_interval + self.overlapping + self.separate


def rivals_of(report: Report, panel: Panel, ranked: list[Any]) -> Rivals:
    """Return the models behind the leader of a panel."""
    return Rivals.of(ranked, pairs_of(report, panel, ranked[0].model))


def rival_lines(report: Report, panel: Panel, ranked: list[Any]) -> list[str]:
    """Return sentences on the lead over the next model and on models without a significant difference."""
    pairs = pairs_of(report, panel, ranked[0].model)
    rivals, lines = Rivals.of(ranked, pairs), []
    if rivals.worse and rivals.worse[0] == ranked[1].model:
        d, low, high = pairs[ranked[1].model]
        span = interval(min(abs(low), abs(high)), max(abs(low), abs(high)))
        lines.append(f"Its lead over {ranked[1].model}, the next model, is {number(abs(d))} ({span}, paired).")
    if rivals.tied:
        names = listing(list(rivals.tied))
        lines.append(f"No significant difference to {names}: the interval of the paired difference contains 0.")
    if rivals.no_interval:
        lines.append(f"The difference to {listing(list(rivals.no_interval))} is unknown: the paired difference has no interval.")
    if rivals.overlapping:
        names = listing(list(rivals.overlapping))
        lines.append(
            f"The difference to {names} is unknown: intervals overlap or are missing, and there is no paired comparison."
        )
    if rivals.separate:
        names = listing(list(rivals.separate))
        lines.append(f"Its interval does not overlap with that of {names}, but there is no paired comparison.")
    return lines
