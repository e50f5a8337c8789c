"""What the numbers say, in sentences that are made from them and admit what they cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lacuna.evaluation.protocol import FIXED
from lacuna.reporting.facts import Panel, Report, panels, records, rows_where, subset_rows
from lacuna.reporting.words import (
    CONSTANT,
    capital,
    higher_is_better,
    interval,
    listing,
    metric_label,
    number,
    panel_label,
    percent,
    subset_label,
)


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


def headline(report: Report) -> list[Finding]:
    """Findings in the order in which a reader wants them; the first one is the summary."""
    each = [_panel(report, p) for p in panels(_primary(report))]
    found = [_overall(report), _complete(report), *each, _modalities(report), _ceiling(report), _below(report), _seeds(report)]
    return [f for f in found if f is not None]


def _primary(report: Report) -> pd.DataFrame:
    """The rows of the primary metric, without references."""
    own = report.summary
    return own[(own["metric"] == report.primary) & ~own["model"].isin(report.references)]


def _best(report: Report, rows: pd.DataFrame, measure: str = "auilc") -> list[Any]:
    """Rows as tuples, best mean first; what was not measured is left out."""
    higher = higher_is_better(report.primary, measure)
    own = rows.dropna(subset=["mean"]).sort_values(["mean", "model"], ascending=[not higher, True])
    return records(own)


def _with(low: float, high: float) -> str:
    span = interval(low, high)
    return f" ({span})" if span else ""


def _overall(report: Report) -> Finding | None:
    """Who leads under how many patterns, and whether that is certain."""
    own = _primary(report).dropna(subset=["mean"])
    leads: dict[str, list[str]] = {}
    certain = True
    for panel in panels(own):
        ranked = _leaders(report, rows_where(own, pattern=panel[0], setting=panel[1]), panel)
        leads.setdefault(ranked[0].model, []).append(" ".join(part for part in panel if part))
        certain = certain and (len(ranked) == 1 or not _level(report, panel, ranked))
    count = sum(map(len, leads.values()))
    if own["model"].nunique() < 2 or not count:
        return None
    if len(leads) == 1:
        text = f"{next(iter(leads))} holds up best" + (f", under all {count} patterns that were measured" if count > 1 else "")
    else:
        order = sorted(leads, key=lambda name: (-len(leads[name]), name))
        text = "No model is best throughout: " + "; ".join(f"{name} under {listing(leads[name])}" for name in order)
    return Finding("In short", text + ("." if certain else ". Not every lead is beyond doubt, as said below."))


def _complete(report: Report) -> Finding | None:
    """How good the models are when nothing is removed."""
    own = _primary(report)
    ranked = _best(report, own[(own["pattern"] != FIXED) & (own["rate"] == 0)].drop_duplicates("model"))
    if not ranked:
        return None
    top, label = ranked[0], metric_label(report.primary)
    who = f"of {len(ranked)} models {top.model} does best" if len(ranked) > 1 else f"{top.model} was measured alone"
    text = f"With nothing removed, {who}: {label} {number(top.mean)}{_with(top.low, top.high)}."
    close = [r.model for r in ranked[1:] if r.low <= top.mean <= r.high]
    near = f" The interval of {listing(close)} contains that value too." if close else ""
    return Finding("Complete data", f"{text}{near} The {CONSTANT} gives {number(top.constant)}.")


def _panel(report: Report, panel: Panel) -> Finding | None:
    """Who holds up best under one pattern, how far it falls, and who cannot be told apart from it."""
    own = rows_where(_primary(report), pattern=panel[0], setting=panel[1]).dropna(subset=["mean"])
    if own.empty:
        return None
    ranked = _leaders(report, own, panel)
    leader, label, topic = ranked[0], metric_label(report.primary), capital(panel_label(*panel))
    rates = sorted(own["rate"].unique())
    value = f"{number(leader.mean)}{_with(leader.low, leader.high)}"
    if len(rates) == 1:
        text = f"At {percent(rates[0])} missing, {leader.model} has the best {label}: {value}."
        return Finding(topic, " ".join([text, *_rivals(report, panel, ranked)]))
    last = max([r for r in rates[1:] if r < 1], default=rates[-1])  # with nothing left, all models are level
    start = {r.model: r for r in records(own[own["rate"] == rates[0]])}
    end = {r.model: r for r in records(own[own["rate"] == last])}
    text = f"{leader.model} holds up best: its mean {label} from {percent(rates[0])} to {percent(rates[-1])} missing is {value}."
    fall = _fall(start.get(leader.model), end.get(leader.model), last)
    return Finding(topic, " ".join([text, *fall, *_rivals(report, panel, ranked), *_least(report, start, end, leader.model)]))


def _leaders(report: Report, own: pd.DataFrame, panel: Panel) -> list[Any]:
    """Models by area, or by the mean over rates where there are no areas."""
    if report.areas is not None:
        rows = rows_where(report.areas, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc")
        rows = rows[rows["model"].isin(own["model"])]
        if len(rows):
            return _best(report, rows)
    if own["rate"].nunique() == 1:
        return _best(report, own)
    return _best(report, own.groupby("model", as_index=False)["mean"].mean().assign(low=math.nan, high=math.nan))


def _ceiling(report: Report) -> Finding | None:
    """How much of what was possible the best model reaches, on corpora whose ceiling is known."""
    if report.areas is None:
        return None
    own = rows_where(report.areas, metric=report.primary, measure="share_of_ceiling")
    parts = []
    for panel in panels(own):
        ranked = _best(
            report, own[(own["pattern"] == panel[0]) & (own["setting"] == panel[1]) & ~own["model"].isin(report.references)]
        )
        if ranked:
            best = ranked[0]
            span = f" ({percent(best.low)} to {percent(best.high)})" if math.isfinite(best.low) else ""
            parts.append(f"{percent(best.mean)}{span} under {panel_label(*panel)}, by {best.model}")
    if not parts:
        return None
    text = f"The best answers possible are known here. Of their lead over the {CONSTANT}, the models reach at most"
    return Finding("Share of the ceiling", f"{text} {'; '.join(parts)}.")


def _fall(start: Any, end: Any, rate: float) -> list[str]:
    if start is None or end is None:
        return []
    a, b = number(start.mean), number(end.mean)
    way = "stays" if a == b else "falls" if end.mean < start.mean else "rises"
    path = f"at {a}" if a == b else f"from {a} to {b}{_with(end.low, end.high)}"
    when = f"{percent(rate)} is missing"
    if abs(end.measured_rate - rate) > 0.02:
        when = f"{percent(rate)} is asked for and {percent(round(end.measured_rate, 3))} removed"
    return [f"It {way} {path} when {when}."]


def _least(report: Report, start: dict[str, Any], end: dict[str, Any], leader: str) -> list[str]:
    """The model that loses least, among those whose start lies above the constant with its whole interval."""
    sign = 1 if higher_is_better(report.primary) else -1
    losses = {}
    for name in sorted(start.keys() & end.keys()):
        r = start[name]
        if sign * (r.mean - r.constant) > 0 and not r.low <= r.constant <= r.high:
            losses[name] = sign * (r.mean - end[name].mean)
    if len(losses) < 2:
        return []
    name = min(losses, key=lambda n: losses[n])
    if name == leader:
        return ["No model loses less."]
    return [f"The smallest loss is that of {name}, from {number(start[name].mean)} to {number(end[name].mean)}."]


def _rivals(report: Report, panel: Panel, ranked: list[Any]) -> list[str]:
    """Who cannot be told apart from the leader: by paired difference if there is one, else by overlap."""
    if len(ranked) < 2:
        return []
    pairs = _pairs(report, panel, ranked[0].model)
    same = _level(report, panel, ranked)
    if same and pairs:
        return [f"{listing(same)} cannot be told apart from it: the interval of the paired difference contains 0."]
    if same:
        return [f"It cannot be told apart from {listing(same)}: intervals overlap or are unknown, and no pairs were compared."]
    second = ranked[1].model
    if second not in pairs:
        return []
    d, low, high = pairs[second]
    span = interval(min(abs(low), abs(high)), max(abs(low), abs(high)))
    return [f"It leads {second}, the next, by {number(abs(d))}{f' ({span}, paired)' if span else ''}."]


def _level(report: Report, panel: Panel, ranked: list[Any]) -> list[str]:
    """Models whose distance from the leader is not certain."""
    leader, pairs = ranked[0], _pairs(report, panel, ranked[0].model)
    if pairs:
        return [r.model for r in ranked[1:] if r.model in pairs and not (pairs[r.model][1] > 0 or pairs[r.model][2] < 0)]
    return [r.model for r in ranked[1:] if not (r.high < leader.low or r.low > leader.high)]


def _pairs(report: Report, panel: Panel, leader: str) -> dict[str, tuple[float, float, float]]:
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


def _modalities(report: Report) -> Finding | None:
    """What each modality is worth alone, to the model that is best on average."""
    own = subset_rows(_primary(report))
    alone = own[~own["setting"].str.contains("+", regex=False)].dropna(subset=["mean"])
    if alone["setting"].nunique() < 2:
        return None
    model = next(m for m in report.ranked if m in set(alone["model"]))
    rows = _best(report, alone[alone["model"] == model])
    parts = [f"{subset_label(r.setting)} {number(r.mean)}{_with(r.low, r.high)}" for r in rows]
    constant = number(rows[0].constant)
    return Finding("Single modalities", f"What one modality alone gives {model}: {'; '.join(parts)}. The {CONSTANT}: {constant}.")


def _below(report: Report) -> Finding:
    """Where models are worse than the constant, and whether that is certain."""
    own = _primary(report).dropna(subset=["mean"]).sort_values("rate")
    own = pd.concat([own[own["pattern"] != FIXED], subset_rows(own)])
    sign = 1 if higher_is_better(report.primary) else -1
    worse = own[sign * (own["mean"] - own["constant"]) < 0]
    sure = worse["gain_high"] < 0 if "gain_high" in worse.columns else worse["mean"].isna()
    worse = worse.assign(sure=sure)
    if worse.empty:
        return Finding("Against the constant", f"No model is worse than the {CONSTANT} anywhere that was measured.")
    parts = []
    for (model, pattern, setting), rows in worse.groupby(["model", "pattern", "setting"], sort=True):
        if pattern == FIXED:
            where = f"with only {subset_label(str(setting))}"
        else:
            where = f"under {pattern}{f' ({setting})' if setting else ''} from {percent(rows['rate'].iloc[0])}"
        parts.append(f"{model} {where}{' (beyond doubt)' if rows['sure'].any() else ' (not certain)'}")
    text = f"Worse than the {CONSTANT}, in {metric_label(report.primary)}: {listing(parts, 10)}."
    return Finding("Below the constant", text, caution=bool(sure.any()))


def _seeds(report: Report) -> Finding | None:
    """What the intervals do not cover."""
    count = len(report.facts.seeds)
    if count == 1:
        text = "Each model was trained once. The intervals say nothing about another training run: do not rank close models."
        return Finding("One seed", text, caution=True)
    if 1 < count < 5:
        text = f"{count} training seeds are few: the intervals know little of the spread between training runs."
        return Finding("Few seeds", text, caution=True)
    return None
