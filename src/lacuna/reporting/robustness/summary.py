"""The top of the report: one headline sentence and three tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lacuna.reporting.core.frames import Panel, panels, rows_where, subset_rows
from lacuna.reporting.core.words import bracketed, higher_is_better, interval, listing, metric_label, number, panel_label, percent
from lacuna.reporting.robustness.cautions import too_good
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, Report
from lacuna.reporting.robustness.leaders import best_first, leaders, pairs_of, primary_rows, rivals_of

HALF = 0.5
NEAR = 0.05  # a reached rate this close to one half counts as half


@dataclass(frozen=True)
class Tile:
    """One key figure.

    Attributes:
        label: what it is.
        value: the figure itself.
        interval: its interval, or empty.
        detail: model, condition and number of utterances.
    """

    label: str
    value: str
    interval: str
    detail: str


def headline_sentence(report: Report) -> str:
    """Return the main result in one sentence; a model is called best only if every paired difference is significant."""
    sentence = _above_baseline(report) or _ranking(report)
    if too_good(report) is not None:
        sentence += " Read the warning below first: some scores are higher than the best possible."
    return sentence


def _ranking(report: Report) -> str:
    rows, label = primary_rows(report).dropna(subset=["mean"]), metric_label(report.primary)
    shown = panels(rows)
    if not shown:
        ranked = best_first(report, subset_rows(rows).groupby("model", as_index=False)[["mean"]].mean())
        return f"{ranked[0].model} has the {_best(report)} mean {label} over subsets of modalities: {number(ranked[0].mean)}."
    by_panel = {p: leaders(report, rows_where(rows, pattern=p[0], setting=p[1]), p) for p in shown}
    if rows["model"].nunique() < 2:
        top = by_panel[shown[0]][0]
        text = f"{top.model} has a mean {label} of {number(top.mean)} over missing rates"
        return f"{text}; the {report.baseline} has {number(top.constant)}." if hasattr(top, "constant") else f"{text}."
    tied = {p: rivals_of(report, p, ranked).not_worse for p, ranked in by_panel.items()}
    winners = {p: ranked[0].model for p, ranked in by_panel.items() if not tied[p]}
    if len(winners) == len(shown) and len(set(winners.values())) == 1:
        under = f"under {_count(len(shown))}" if len(shown) > 1 else f"under {_name(shown[0])}"
        return f"{winners[shown[0]]} is most robust {under}: significantly better than every other model in mean {label}."
    if report.few_dialogues:
        return f"No model can be called best: fewer than {MIN_DIALOGUES} test dialogues allow no interval of the differences."
    if not winners:
        first = shown[0]
        names = listing([by_panel[first][0].model, *tied[first]])
        where = "" if len(shown) == 1 else f" under {_name(first)}"
        return f"No single best model: no significant difference in mean {label} between {names}{where}."
    parts = [f"{model} under {_name(p)}" for p, model in winners.items()]
    open_panels = [_name(p) for p in shown if p not in winners]
    rest = f"; no single best model under {listing(open_panels)}" if open_panels else ""
    return f"Most robust in mean {label}: {'; '.join(parts)}{rest}."


def _above_baseline(report: Report) -> str:
    """Return a sentence if no model has a better mean than the baseline anywhere, else an empty text."""
    rows, sign = primary_rows(report).dropna(subset=["mean"]), 1 if higher_is_better(report.primary) else -1
    if (sign * (rows["mean"] - rows["constant"]) > 1e-6).any():
        return ""
    return f"No model is better than the {report.baseline} in {metric_label(report.primary)} in any condition."


def _best(report: Report) -> str:
    return "highest" if higher_is_better(report.primary) else "lowest"


def _name(panel: Panel) -> str:
    return " ".join(part for part in panel if part)


def _count(patterns: int) -> str:
    return "both patterns" if patterns == 2 else f"all {patterns} patterns"


def tiles(report: Report) -> list[Tile]:
    """Return the tiles for complete data, half of the data missing, and the lead over the next model, if measured."""
    rows = primary_rows(report).dropna(subset=["mean"])
    if not panels(rows):
        return []
    panel = panels(rows)[0]
    rows = rows_where(rows, pattern=panel[0], setting=panel[1])
    complete = best_first(report, rows[rows["rate"] == 0])
    reached = rows.loc[rows["rate"] > 0, "measured_rate"]
    shown = [_score(report, "Complete data", complete, "")] if complete else []
    if len(reached):
        nearest = float(reached.iloc[(reached - HALF).abs().argmin()])
        half = best_first(report, rows[(rows["measured_rate"] - nearest).abs() < 1e-6].drop_duplicates("model"))
        is_half = abs(nearest - HALF) <= NEAR
        where = (
            panel_label(*panel)
            if is_half and abs(nearest - HALF) < 0.01
            else f"{percent(round(nearest, 2))} missing, {panel_label(*panel)}"
        )
        shown.append(_score(report, "Half missing" if is_half else f"{percent(round(nearest, 2))} missing", half, where))
    return [*shown, _lead(report, rows, panel)]


def _score(report: Report, label: str, ranked: list[Any], where: str) -> Tile:
    """Return the tile of the best score in one condition."""
    top = ranked[0]
    who = f"{top.model}, {_best(report)} of {len(ranked)} models" if len(ranked) > 1 else str(top.model)
    baseline = f"{report.baseline} {number(top.constant)}"
    n = f"n = {report.utterances} utterances" if report.utterances else ""
    detail = "; ".join(part for part in (where, who, baseline, n) if part)
    return Tile(label, number(top.mean), interval(top.low, top.high), detail)


def _lead(report: Report, rows: Any, panel: Panel) -> Tile:
    """Return the tile of the paired difference between the two best models, or of the gain of a single model."""
    ranked, label = leaders(report, rows, panel), metric_label(report.primary)
    over = f"mean {label} over missing rates, {panel_label(*panel)}" if rows["rate"].nunique() > 1 else panel_label(*panel)
    if len(ranked) == 1:
        gain = float((rows["mean"] - rows["constant"]).mean()) * (1 if higher_is_better(report.primary) else -1)
        return Tile("Gain over the baseline", number(gain, sign=True), "", f"{ranked[0].model}; {over}")
    leader, following = ranked[0].model, ranked[1].model
    tied = rivals_of(report, panel, ranked).not_worse
    difference, low, high = pairs_of(report, panel, leader).get(following, (math.nan, math.nan, math.nan))
    if following not in tied:
        more = f"; no significant difference to {listing(list(tied), 3)}" if tied else ""
        low, high = sorted((abs(low), abs(high)))
        return Tile(
            "Lead over the next",
            number(abs(difference), sign=True),
            interval(low, high),
            f"{leader} over {following}; {over}{more}",
        )
    if report.few_dialogues:
        reason = f"fewer than {MIN_DIALOGUES} test dialogues allow no interval"
        return Tile("Lead over the next", "unknown", "", f"{leader} and {following}; {reason}; {over}")
    if not math.isfinite(low):
        return Tile(
            "Lead over the next", "unknown", "", f"{leader} and {following}: no interval of the paired difference; {over}"
        )
    span = f"{leader} minus {following}: {number(difference, sign=True)}{bracketed(low, high)}"
    return Tile(
        "Lead over the next", "tied", "", f"no significant difference between {listing([leader, *tied], 5)}; {span}; {over}"
    )
