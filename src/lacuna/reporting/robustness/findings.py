"""Findings of the report, as sentences generated from its numbers."""

from __future__ import annotations

import math
from typing import Any

from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.frames import Panel, panels, records, rows_where, subset_rows
from lacuna.reporting.core.words import (
    Finding,
    bracketed,
    capital,
    higher_is_better,
    listing,
    metric_label,
    number,
    panel_label,
    percent,
    subset_label,
)
from lacuna.reporting.robustness.cautions import below_baseline, little_data, overconfident, too_good
from lacuna.reporting.robustness.facts import Report
from lacuna.reporting.robustness.leaders import best_first, leaders, primary_rows, rival_lines
from lacuna.reporting.robustness.summary import headline_sentence

BOUNDED = ("accuracy", "log_loss")  # metrics for which the oracle is a true limit


def headline(report: Report) -> list[Finding]:
    """Return all findings in the order of the page; the first one is the headline sentence."""
    each = [_panel(report, p) for p in panels(primary_rows(report))]
    findings = [Finding("Summary", headline_sentence(report)), too_good(report), _complete(report), *each, _modalities(report)]
    findings += [_ceiling(report), below_baseline(report), overconfident(report), *little_data(report)]
    return [f for f in findings if f is not None]


def _complete(report: Report) -> Finding | None:
    """Return the best model on complete data and the models whose interval contains its score."""
    own = primary_rows(report)
    ranked = best_first(report, own[(own["pattern"] != FIXED) & (own["rate"] == 0)].drop_duplicates("model"))
    if not ranked:
        return None
    top, label = ranked[0], metric_label(report.primary)
    who = f"{top.model} has the best mean of {len(ranked)} models" if len(ranked) > 1 else f"{top.model} is the only model"
    text = f"On complete data, {who}: {label} {number(top.mean)}{bracketed(top.low, top.high)}."
    similar = [r.model for r in ranked[1:] if r.low <= top.mean <= r.high]
    note = f" The interval of {listing(similar)} contains this value." if similar else ""
    return Finding("Complete data", f"{text}{note} The {report.baseline} has {number(top.constant)}.")


def _panel(report: Report, panel: Panel) -> Finding | None:
    """Return the leader under one pattern, its drop, and the models that do not differ significantly from it."""
    own = rows_where(primary_rows(report), pattern=panel[0], setting=panel[1]).dropna(subset=["mean"])
    if own.empty:
        return None
    ranked = leaders(report, own, panel)
    leader, label, topic = ranked[0], metric_label(report.primary), capital(panel_label(*panel))
    rates = sorted(own["rate"].unique())
    value = f"{number(leader.mean)}{bracketed(leader.low, leader.high)}"
    if len(rates) == 1:
        text = f"At {percent(rates[0])} missing, {leader.model} has the best mean {label}: {value}."
        return Finding(topic, " ".join([text, *rival_lines(report, panel, ranked)]))
    last = max([r for r in rates[1:] if r < 1], default=rates[-1])  # with all data missing, all models are equal
    start = {r.model: r for r in records(own[own["rate"] == rates[0]])}
    end = {r.model: r for r in records(own[own["rate"] == last])}
    reached = percent(round(float(own["measured_rate"].max()), 3))
    text = f"{leader.model} has the best mean {label} from {percent(rates[0])} to {reached} missing: {value}."
    change = _change(start.get(leader.model), end.get(leader.model), last)
    return Finding(
        topic, " ".join([text, *change, *rival_lines(report, panel, ranked), *_smallest_drop(report, start, end, leader.model)])
    )


def _ceiling(report: Report) -> Finding | None:
    """Return the best share of the oracle's gain, on corpora whose exact posterior is known."""
    if report.areas is None:
        return None
    own = rows_where(report.areas, metric=report.primary, measure="share_of_ceiling")
    own = own[~own["model"].isin(report.references)]
    parts = []
    for panel in panels(own):
        ranked = best_first(report, rows_where(own, pattern=panel[0], setting=panel[1]), "share_of_ceiling")
        if ranked:
            best = ranked[0]
            span = f" ({percent(best.low)} to {percent(best.high)})" if math.isfinite(best.low) else ""
            parts.append(f"{percent(best.mean)}{span} under {panel_label(*panel)}, by {best.model}")
    if not parts:
        return None
    label = metric_label(report.primary)
    text = "The exact posterior of this corpus is known; the oracle predicts its most probable class."
    share = f"The largest share of the oracle's gain over the {report.baseline} in {label} is {'; '.join(parts)}."
    bound = "On average no model can be better than the oracle."
    if report.primary not in BOUNDED:
        bound = f"The oracle is the limit of accuracy and log loss, but only a reference for {label}: another decision rule can "
        bound += "exceed it slightly."
    return Finding("Share of ceiling", f"{text} {share} {bound}")


def _change(start: Any, end: Any, rate: float) -> list[str]:
    if start is None or end is None:
        return []
    a, b = number(start.mean), number(end.mean)
    verb = "stays" if a == b else "falls" if end.mean < start.mean else "rises"
    path = f"at {a}" if a == b else f"from {a} to {b}{bracketed(end.low, end.high)}"
    when = f"{percent(rate)} is missing"
    if abs(end.measured_rate - rate) > 0.02:
        when = f"{percent(rate)} was requested and {percent(round(end.measured_rate, 3))} removed"
    return [f"It {verb} {path} when {when}."]


def _smallest_drop(report: Report, start: dict[str, Any], end: dict[str, Any], leader: str) -> list[str]:
    """Return the model with the smallest drop, among those whose interval on complete data is above the baseline."""
    sign = 1 if higher_is_better(report.primary) else -1
    drops = {}
    for name in sorted(start.keys() & end.keys()):
        r = start[name]
        if sign * (r.mean - r.constant) > 0 and not r.low <= r.constant <= r.high:
            drops[name] = sign * (r.mean - end[name].mean)
    if len(drops) < 2:
        return []
    name = min(drops, key=lambda n: drops[n])
    known = all(math.isfinite(start[n].low) for n in drops)
    among = f"Of the models better than the {report.baseline} at the lowest rate{' (by their whole interval)' if known else ''}"
    if name == leader:
        return [f"{among}, it has the smallest drop."]
    return [f"{among}, {name} has the smallest drop: from {number(start[name].mean)} to {number(end[name].mean)}."]


def _modalities(report: Report) -> Finding | None:
    """Return the scores of single modalities for the model with the best mean."""
    own = subset_rows(primary_rows(report))
    alone = own[~own["setting"].str.contains("+", regex=False)].dropna(subset=["mean"])
    if alone["setting"].nunique() < 2:
        return None
    model = next(m for m in report.ranked if m in set(alone["model"]))
    rows = best_first(report, alone[alone["model"] == model])
    parts = [f"{subset_label(r.setting)} {number(r.mean)}{bracketed(r.low, r.high)}" for r in rows]
    baseline = number(rows[0].constant)
    return Finding("Single modalities", f"{model} with one modality: {'; '.join(parts)}. The {report.baseline} has {baseline}.")
