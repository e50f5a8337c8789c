"""Model cards: description, training, scores, intended use and limits of a trained model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lacuna.reporting.core.frames import panels, records, rows_where, subset_rows
from lacuna.reporting.core.settings import variant_text
from lacuna.reporting.core.table import Table, Value, escape_markdown, to_markdown
from lacuna.reporting.core.words import (
    bracketed,
    capital,
    metric_label,
    metric_note,
    number,
    panel_label,
    pattern_note,
    percent,
    subset_label,
)
from lacuna.reporting.robustness.facts import ModelFacts, Report
from lacuna.reporting.robustness.matrices import subset_order
from lacuna.reporting.robustness.results import LIMITS, MISUSE, absence_lines


def model_card(report: Report, model: str) -> str:
    """Return the card of one model in Markdown.

    Args:
        report: measured results.
        model: a variant in the report's summary.
    """
    facts, about = report.facts, report.models.get(model, ModelFacts(model))
    lines = [f"# {escape_markdown(model)} on {escape_markdown(facts.corpus)}", ""]
    lines += [escape_markdown(about.description), ""] if about.description else []
    lines += ["## Training", "", *_training(about), ""]
    lines += ["## Data", "", f"- corpus: {escape_markdown(facts.corpus)}, target: {escape_markdown(facts.target)}"]
    if facts.classes:
        lines.append(f"- classes: {escape_markdown(', '.join(facts.classes))}")
    if facts.splits:
        lines.append("- splits: " + ", ".join(f"{name} {count}" for name, count in facts.splits.items()) + " utterances")
    lines += [f"- {escape_markdown(line)}" for line in (*absence_lines(facts), *facts.notes)]
    lines += [f"- licence of the corpus: {escape_markdown(facts.licence)}; it may apply to models trained on it", ""]
    lines += [
        "## Protocol",
        "",
        "- weights were selected on the validation split; numbers were measured on the test split",
        f"- in brackets: {facts.level:.0%} intervals over test dialogues"
        + (" and seeds" if report.trainings.get(model, 1) > 1 else ""),
        f"- baseline: the {report.baseline} on the same utterances",
        f"- training seeds: {_seeds(report, model)}",
        "",
    ]
    lines += ["## Scores", "", *_numbers(report, model)]
    lines += ["## Calibration", "", _calibration(report, model), ""]
    lines += ["## Missing data", "", *(_missing(report, model) or ["Not measured."]), ""]
    lines += [
        "## Intended use",
        "",
        "Research on emotion recognition with missing data, and comparison with other methods on the same corpus.",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in LIMITS),
        "",
        "## Misuse",
        "",
        MISUSE,
        "",
        "## Provenance",
        "",
        f"- commit: {escape_markdown(facts.commit)}",
        f"- command: `{facts.command.replace('`', '')}`",
        f"- machine: {escape_markdown(facts.machine)}",
        f"- created: {facts.created}, settings digest: {facts.config_digest or 'unknown'}",
        "",
    ]
    return "\n".join(lines)


def _seeds(report: Report, model: str) -> str:
    """Return the seeds of the run, or only their number if this model has fewer."""
    if model in report.references:
        return "none, it is a reference"
    seeds = report.facts.seeds
    count = report.trainings.get(model, len(seeds))
    return (", ".join(map(str, seeds)) if count == len(seeds) else str(count)) or "unknown"


def _training(about: ModelFacts) -> list[str]:
    """Return the known facts about training."""
    lines = [f"- model: {escape_markdown(variant_text(about))}"] if about.model not in ("", about.name) else []
    lines += [f"- {flag}" for flag in about.flags]
    if about.parameters is not None:
        lines.append(f"- trainable parameters: {about.parameters:,}")
    if about.pattern:
        lines.append(f"- missing data in training: {escape_markdown(panel_label(about.pattern))}")
    if about.selection:
        lines.append(f"- selected by: {escape_markdown(metric_label(about.selection))} on validation")
    if about.trials > 1:
        lines.append(f"- settings: the best of {about.trials} trials on validation")
    for seed in sorted(about.epochs):
        kept, ran = about.chosen.get(seed), about.epochs[seed]
        parts = [f"{ran} epochs" if kept is None else f"{ran} epochs, weights of epoch {kept} selected"]
        parts += [f"validation {number(about.valid[seed])}"] if seed in about.valid else []
        parts += [f"{about.seconds[seed]:.0f} s"] if seed in about.seconds else []
        lines.append(f"- seed {seed}: {', '.join(parts)}")
    for kind, settings in (("settings", about.config), ("training settings", about.training)):
        if settings:
            lines.append(f"- {kind}: {escape_markdown(', '.join(f'{k} = {v}' for k, v in settings.items()))}")
    return lines or ["- unknown"]


def _numbers(report: Report, model: str) -> list[str]:
    """Return all metrics by missing rate, with the baseline."""
    own = rows_where(report.summary, model=model)
    lines = []
    for pattern, setting in panels(own):
        rows = rows_where(own, pattern=pattern, setting=setting)
        rates = sorted(rows["rate"].unique())
        table = _by(rows, "rate", rates, report.metrics, {r: percent(r) for r in rates})
        lines += [f"**{capital(escape_markdown(panel_label(pattern, setting)))}.** {escape_markdown(pattern_note(pattern))}", ""]
        lines += [to_markdown(table)]
    subsets = subset_rows(own)
    if len(subsets):
        order = subset_order(subsets)
        heads = {s: subset_label(s) for s in order}
        lines += ["**By available modalities**", "", to_markdown(_by(subsets, "setting", order, report.metrics, heads))]
    return lines


def _by(rows: pd.DataFrame, key: str, keys: list[Any], metrics: list[str], heads: Mapping[Any, str]) -> Table:
    """Return a table with two rows per metric (model, baseline) and one column per key."""
    body: list[tuple[str | Value, ...]] = []
    for metric in metrics:
        own = {getattr(r, key): r for r in records(rows_where(rows, metric=metric))}
        if own:
            values = [Value(own[k].mean, own[k].low, own[k].high) if k in own else Value(math.nan) for k in keys]
            baseline = [Value(own[k].constant) if k in own else Value(math.nan) for k in keys]
            body += [(metric_label(metric), *values), (f"{metric_label(metric)}, baseline", *baseline)]
    return Table("card", "", "", ("Metric", *(heads[k] for k in keys)), tuple(body))


def _calibration(report: Report, model: str) -> str:
    """Return the calibration error at the lowest and the highest missing rate."""
    own = rows_where(report.summary, model=model, metric="ece")
    parts = []
    for pattern, setting in panels(own):
        rows = rows_where(own, pattern=pattern, setting=setting).sort_values("rate")
        ends = records(rows.iloc[[0, -1]])
        values = [f"{number(r.mean)}{bracketed(r.low, r.high)} at {percent(r.rate)}" for r in ends]
        parts.append(f"{panel_label(pattern, setting)}: {' and '.join(dict.fromkeys(values))} missing")
    if not parts:
        return "Not measured: do not interpret confidences as probabilities."
    return f"{capital(metric_note('ece'))}. {escape_markdown('; '.join(parts))}."


def _missing(report: Report, model: str) -> list[str]:
    """Return the main metric at the lowest and the highest missing rate, with the baseline."""
    own = rows_where(report.summary, model=model, metric=report.primary)
    lines = []
    for pattern, setting in panels(own):
        rows = rows_where(own, pattern=pattern, setting=setting).sort_values("rate")
        a, b = rows.iloc[0], rows.iloc[-1]
        lines.append(
            f"- {escape_markdown(panel_label(pattern, setting))}: {metric_label(report.primary)} {number(a['mean'])} at "
            f"{percent(a['rate'])} missing, {number(b['mean'])}{bracketed(b['low'], b['high'])} at {percent(b['rate'])}; "
            f"baseline {number(b['constant'])}"
        )
    return lines
