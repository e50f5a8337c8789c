"""What the numbers say, in sentences that are made from them and admit what they cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lacuna.reporting.facts import Panel, Report, panels, records, subset_rows
from lacuna.reporting.words import (
    CONSTANT,
    FIXED,
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
    """Findings in the order in which a reader wants them."""
    found = [_complete(report), *(_panel(report, p) for p in panels(_primary(report))), _modalities(report), _below(report)]
    return [f for f in (*found, _seeds(report)) if f is not None]


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


def _complete(report: Report) -> Finding | None:
    """How good the models are when nothing is removed."""
    own = _primary(report)
    rows = own[(own["pattern"] != FIXED) & (own["rate"] == 0)].drop_duplicates("model")
    ranked = _best(report, rows)
    if not ranked:
        return None
    top, label = ranked[0], metric_label(report.primary)
    several = f"of {len(ranked)} models {top.model} does best" if len(ranked) > 1 else f"{top.model} is the only model"
    close = [r.model for r in ranked[1:] if r.low <= top.mean <= r.high]
    near = f" The interval of {listing(close)} contains that value too." if close else ""
    text = f"With nothing removed, {several}: {label} {number(top.mean)}{_with(top.low, top.high)}, where the {CONSTANT} gives "
    return Finding("Complete data", f"{text}{number(top.constant)}.{near}")


def _panel(report: Report, panel: Panel) -> Finding | None:
    """Who holds up best under one pattern, how far it falls, and who cannot be told apart from it."""
    own = _primary(report)
    own = own[(own["pattern"] == panel[0]) & (own["setting"] == panel[1])].dropna(subset=["mean"])
    if own.empty:
        return None
    first, last = own["rate"].min(), own.loc[own["rate"] < 1, "rate"].max()  # with nothing left all fall to the constant
    last = own["rate"].max() if pd.isna(last) or last == first else last
    start = {r.model: r for r in records(own[own["rate"] == first])}
    end = {r.model: r for r in records(own[own["rate"] == last])}
    ranked = _leaders(report, own, panel)
    leader, label = ranked[0], metric_label(report.primary)
    span = f"from {percent(first)} to {percent(own['rate'].max())} missing" if first != last else f"at {percent(last)} missing"
    if first == last:
        text = f"{capital(span)}, {leader.model} has the best {label}: {number(leader.mean)}{_with(leader.low, leader.high)}."
    else:
        text = f"{leader.model} holds up best: its mean {label} {span} is {number(leader.mean)}{_with(leader.low, leader.high)}. "
        text += _fall(start.get(leader.model), end.get(leader.model), last)
    least = "" if first == last else _least(report, start, end, leader.model)
    return Finding(capital(panel_label(*panel)), " ".join((text.strip() + _rivals(report, panel, ranked) + " " + least).split(" ")).strip())


def _leaders(report: Report, own: pd.DataFrame, panel: Panel) -> list[Any]:
    """Models by area, or by the mean over rates where there are no areas."""
    if report.areas is not None:
        a = report.areas
        keep = (a["pattern"] == panel[0]) & (a["setting"] == panel[1]) & (a["metric"] == report.primary)
        rows = a[keep & (a["measure"] == "auilc") & a["model"].isin(own["model"])]
        if len(rows):
            return _best(report, rows)
    if own["rate"].nunique() == 1:
        return _best(report, own)
    return _best(report, own.groupby("model", as_index=False)["mean"].mean().assign(low=math.nan, high=math.nan))


def _fall(start: Any, end: Any, rate: float) -> str:
    if start is None or end is None:
        return ""
    a, b = number(start.mean), number(end.mean)
    where = f"when {percent(rate)} is missing"
    if a == b:
        return f"It stays at {a} {where}. "
    return f"It {'falls' if end.mean < start.mean else 'rises'} from {a} to {b}{_with(end.low, end.high)} {where}. "


def _least(report: Report, start: dict[str, Any], end: dict[str, Any], leader: str) -> str:
    """The model that loses least, among those that clearly beat the constant to begin with."""
    sign = 1 if higher_is_better(report.primary) else -1
    losses = {
        name: sign * (start[name].mean - end[name].mean)
        for name in start.keys() & end.keys()
        if sign * (start[name].mean - start[name].constant) > 0 and not start[name].low <= start[name].constant <= start[name].high
    }
    if len(losses) < 2:
        return ""
    name = min(sorted(losses), key=lambda n: losses[n])
    if name == leader:
        return "No model loses less. "
    return f"{name} loses least, from {number(start[name].mean)} to {number(end[name].mean)}. "


def _rivals(report: Report, panel: Panel, ranked: list[Any]) -> str:
    """Who cannot be told apart from the leader: by paired difference if there is one, else by overlap."""
    if len(ranked) < 2:
        return ""
    leader, others = ranked[0], [r.model for r in ranked[1:]]
    pairs = _pairs(report, panel, leader.model)
    if not pairs:
        close = [r.model for r in ranked[1:] if r.high >= leader.low and r.low <= leader.high]
        return f" Its interval overlaps with that of {listing(close)}; no paired comparison was made." if close else ""
    same = [m for m in others if m in pairs and pairs[m][1] <= 0 <= pairs[m][2]]
    if same:
        return f" {listing(same)} cannot be told apart from it: the interval of the paired difference contains 0."
    if others[0] not in pairs:
        return ""
    d, low, high = pairs[others[0]]
    return f" Its lead over the next, {others[0]}, is {number(abs(d))} ({interval(*sorted((abs(low), abs(high))))}, paired)."


def _pairs(report: Report, panel: Panel, leader: str) -> dict[str, tuple[float, float, float]]:
    """Difference and interval of the leader against each other model it was compared with."""
    if report.comparisons is None:
        return {}
    c = report.comparisons
    keep = (c["pattern"] == panel[0]) & (c["setting"] == panel[1]) & (c["metric"] == report.primary) & (c["measure"] == "auilc")
    found = {}
    for r in records(c[keep]):
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
    worse = worse.assign(sure=sure)[sure | (worse["rate"] < 1) | (worse["pattern"] == FIXED)]  # with nothing left, all are level
    if worse.empty:
        return Finding("Against the constant", f"No model is worse than the {CONSTANT} anywhere that was measured.")
    parts = []
    for (model, pattern, setting), rows in worse.groupby(["model", "pattern", "setting"], sort=True):
        if pattern == FIXED:
            where = f"with only {subset_label(setting)}"
        else:
            where = f"under {pattern}{f' ({setting})' if setting else ''} from {percent(rows['rate'].iloc[0])}"
        parts.append(f"{model} {where}{' (beyond doubt)' if rows['sure'].any() else ''}")
    text = f"Worse than the {CONSTANT}, in {metric_label(report.primary)}: {listing(parts, 10)}."
    return Finding("Below the constant", text, caution=True)


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
