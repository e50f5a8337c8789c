"""What the numbers say, in sentences that are made from them and admit what they cannot tell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.finding import Finding, best_first, bracketed, primary_rows
from lacuna.reporting.core.frames import Panel, panels, records, rows_where, subset_rows
from lacuna.reporting.core.words import (
    CONSTANT,
    capital,
    higher_is_better,
    listing,
    metric_label,
    number,
    panel_label,
    percent,
    subset_label,
)
from lacuna.reporting.robustness.cautions import below_constant, few_seeds, too_good, too_sure
from lacuna.reporting.robustness.facts import Report
from lacuna.reporting.robustness.leaders import leaders, rival_lines, rivals_of

BOUNDED = ("accuracy", "log_loss")  # what the most probable class, and the posterior, are best in


def headline(report: Report) -> list[Finding]:
    """Findings in the order in which a reader wants them; the first one is the summary."""
    overall, leak = _overall(report), too_good(report)
    if overall and leak:
        overall = replace(overall, text=f"{overall.text} But first read the warning below: some numbers are too good.")
    each = [_panel(report, p) for p in panels(primary_rows(report))]
    found = [overall, leak, _complete(report), *each, _modalities(report), _ceiling(report)]
    found += [below_constant(report), too_sure(report), few_seeds(report)]
    return [f for f in found if f is not None]


def _overall(report: Report) -> Finding | None:
    """Who leads under how many patterns, and whether that is certain."""
    own = primary_rows(report).dropna(subset=["mean"])
    leads: dict[str, list[str]] = {}
    certain = True
    for panel in panels(own):
        ranked = leaders(report, rows_where(own, pattern=panel[0], setting=panel[1]), panel)
        leads.setdefault(ranked[0].model, []).append(" ".join(part for part in panel if part))
        certain = certain and rivals_of(report, panel, ranked).sure
    count = sum(map(len, leads.values()))
    if own["model"].nunique() < 2 or not count:
        return None
    if len(leads) == 1:
        every = "both patterns" if count == 2 else f"all {count} patterns"
        text = f"{next(iter(leads))} holds up best" + (f", under {every} that were measured" if count > 1 else "")
    else:
        order = sorted(leads, key=lambda name: (-len(leads[name]), name))
        text = "No model is best throughout: " + "; ".join(f"{name} under {listing(leads[name])}" for name in order)
    return Finding("In short", text + ("." if certain else ". Not every lead is borne out by a paired interval, as said below."))


def _complete(report: Report) -> Finding | None:
    """How good the models are when nothing is removed."""
    own = primary_rows(report)
    ranked = best_first(report, own[(own["pattern"] != FIXED) & (own["rate"] == 0)].drop_duplicates("model"))
    if not ranked:
        return None
    top, label = ranked[0], metric_label(report.primary)
    who = f"of {len(ranked)} models {top.model} does best" if len(ranked) > 1 else f"{top.model} was measured alone"
    text = f"With nothing removed, {who}: {label} {number(top.mean)}{bracketed(top.low, top.high)}."
    close = [r.model for r in ranked[1:] if r.low <= top.mean <= r.high]
    near = f" The interval of {listing(close)} contains that value too." if close else ""
    return Finding("Complete data", f"{text}{near} The {CONSTANT} gives {number(top.constant)}.")


def _panel(report: Report, panel: Panel) -> Finding | None:
    """Who holds up best under one pattern, how far it falls, and who cannot be told apart from it."""
    own = rows_where(primary_rows(report), pattern=panel[0], setting=panel[1]).dropna(subset=["mean"])
    if own.empty:
        return None
    ranked = leaders(report, own, panel)
    leader, label, topic = ranked[0], metric_label(report.primary), capital(panel_label(*panel))
    rates = sorted(own["rate"].unique())
    value = f"{number(leader.mean)}{bracketed(leader.low, leader.high)}"
    if len(rates) == 1:
        text = f"At {percent(rates[0])} missing, {leader.model} has the best {label}: {value}."
        return Finding(topic, " ".join([text, *rival_lines(report, panel, ranked)]))
    last = max([r for r in rates[1:] if r < 1], default=rates[-1])  # with nothing left, all models are level
    start = {r.model: r for r in records(own[own["rate"] == rates[0]])}
    end = {r.model: r for r in records(own[own["rate"] == last])}
    text = f"{leader.model} holds up best: its mean {label} from {percent(rates[0])} to {percent(rates[-1])} missing is {value}."
    fall = _fall(start.get(leader.model), end.get(leader.model), last)
    return Finding(topic, " ".join([text, *fall, *rival_lines(report, panel, ranked), *_least(report, start, end, leader.model)]))


def _ceiling(report: Report) -> Finding | None:
    """How much of the oracle's lead the best model reaches, on corpora whose exact posterior is known."""
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
    text = "The exact posterior is known here; the oracle gives it, and answers with the most probable class."
    share = f"Of the oracle's lead over the {CONSTANT} in {label}, the models reach at most {'; '.join(parts)}."
    bound = "No answers are better in it, on average."
    if report.primary not in BOUNDED:
        bound = (
            f"The oracle is the ceiling of accuracy and log loss, and a reference for {label}, which another decision rule can "
        )
        bound += "pass by a little."
    return Finding("Share of ceiling", f"{text} {share} {bound}")


def _fall(start: Any, end: Any, rate: float) -> list[str]:
    if start is None or end is None:
        return []
    a, b = number(start.mean), number(end.mean)
    way = "stays" if a == b else "falls" if end.mean < start.mean else "rises"
    path = f"at {a}" if a == b else f"from {a} to {b}{bracketed(end.low, end.high)}"
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
    known = all(math.isfinite(start[n].low) for n in losses)
    who = f"Of the models that start above the {CONSTANT}{' (with their whole interval)' if known else ''}"
    if name == leader:
        return [f"{who}, none loses less."]
    return [f"{who}, {name} loses least, from {number(start[name].mean)} to {number(end[name].mean)}."]


def _modalities(report: Report) -> Finding | None:
    """What each modality is worth alone, to the model that is best on average."""
    own = subset_rows(primary_rows(report))
    alone = own[~own["setting"].str.contains("+", regex=False)].dropna(subset=["mean"])
    if alone["setting"].nunique() < 2:
        return None
    model = next(m for m in report.ranked if m in set(alone["model"]))
    rows = best_first(report, alone[alone["model"] == model])
    parts = [f"{subset_label(r.setting)} {number(r.mean)}{bracketed(r.low, r.high)}" for r in rows]
    constant = number(rows[0].constant)
    return Finding("Single modalities", f"What one modality alone gives {model}: {'; '.join(parts)}. The {CONSTANT}: {constant}.")
