"""Who leads under a pattern, and of whom the leader can be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lacuna.reporting.core.finding import best_first
from lacuna.reporting.core.frames import Panel, records, rows_where
from lacuna.reporting.core.words import interval, listing, number
from lacuna.reporting.robustness.facts import Report

Pairs = dict[str, tuple[float, float, float]]


def leaders(report: Report, own: pd.DataFrame, panel: Panel) -> list[Any]:
    """Models by area, or by the mean over rates where there are no areas."""
    if report.areas is not None:
        rows = rows_where(report.areas, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc")
        if found := best_first(report, rows[rows["model"].isin(own["model"])]):
            return found
    if own["rate"].nunique() == 1:
        return best_first(report, own)
    return best_first(report, own.groupby("model", as_index=False)["mean"].mean().assign(low=math.nan, high=math.nan))


def pairs_of(report: Report, panel: Panel, leader: str) -> Pairs:
    """Difference and interval of the leader against each other model it was compared with."""
    if report.comparisons is None:
        return {}
    own = rows_where(report.comparisons, pattern=panel[0], setting=panel[1], metric=report.primary)
    found = {}
    for r in records(own[own["measure"].isin(["auilc", "at_rate"])]):
        if r.model_a == leader:
            found[r.model_b] = (r.difference, r.low, r.high)
        elif r.model_b == leader:
            found[r.model_a] = (-r.difference, -r.high, -r.low)
    return found


@dataclass(frozen=True)
class Rivals:
    """The models behind the leader, best first, by what is known of the distance.

    Attributes:
        beaten: the interval of the paired difference leaves out 0.
        level: that interval contains 0.
        blank: a pair without an interval, as with a single dialogue.
        near: no pair; intervals overlap or are unknown.
        apart: no pair; intervals do not overlap.
    """

    beaten: tuple[str, ...]
    level: tuple[str, ...]
    blank: tuple[str, ...]
    near: tuple[str, ...]
    apart: tuple[str, ...]

    @classmethod
    def of(cls, ranked: list[Any], pairs: Pairs) -> Rivals:
        """Sort all but the first.

        Args:
            ranked: rows with model, low and high, the leader first.
            pairs: as of :func:`pairs_of`.
        """
        kinds: dict[str, list[str]] = {"beaten": [], "level": [], "blank": [], "near": [], "apart": []}
        for r in ranked[1:]:
            if r.model in pairs:
                _, low, high = pairs[r.model]
                known = math.isfinite(low) and math.isfinite(high)
                kind = ("beaten" if low > 0 or high < 0 else "level") if known else "blank"
            else:
                kind = "apart" if r.high < ranked[0].low or r.low > ranked[0].high else "near"
            kinds[kind].append(r.model)
        return cls(**{kind: tuple(names) for kind, names in kinds.items()})

    @property
    def sure(self) -> bool:
        """Every model behind the leader is so by a paired interval."""
        return not (self.level or self.blank or self.near or self.apart)


def rivals_of(report: Report, panel: Panel, ranked: list[Any]) -> Rivals:
    """The models behind the leader of a panel."""
    return Rivals.of(ranked, pairs_of(report, panel, ranked[0].model))


def rival_lines(report: Report, panel: Panel, ranked: list[Any]) -> list[str]:
    """Who cannot be told apart from the leader and why, and its lead over the next if that is certain."""
    pairs = pairs_of(report, panel, ranked[0].model)
    rivals, lines = Rivals.of(ranked, pairs), []
    if rivals.beaten and rivals.beaten[0] == ranked[1].model:
        d, low, high = pairs[ranked[1].model]
        span = interval(min(abs(low), abs(high)), max(abs(low), abs(high)))
        lines.append(f"It leads {ranked[1].model}, the next, by {number(abs(d))} ({span}, paired).")
    if rivals.level:
        who = listing(list(rivals.level))
        lines.append(f"{who} cannot be told apart from it: the interval of the paired difference contains 0.")
    if rivals.blank:
        lines.append(f"{listing(list(rivals.blank))} cannot be told apart from it: the paired difference has no interval.")
    if rivals.near:
        who = listing(list(rivals.near))
        lines.append(f"It cannot be told apart from {who}: intervals overlap or are unknown, and no pairs were compared.")
    if rivals.apart:
        lines.append(f"Its interval lies apart from that of {listing(list(rivals.apart))}, but no pairs were compared.")
    return lines
