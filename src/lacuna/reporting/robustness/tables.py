"""Tables of the robustness report: by missing rate, by available subset, areas, paired comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lacuna.errors import DataError
from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.frames import Panel, distinct, panels, records, rows_where, subset_rows
from lacuna.reporting.core.settings import trials_text
from lacuna.reporting.core.table import Table, Value, marked, slug, unique
from lacuna.reporting.core.words import (
    capital,
    higher_is_better,
    listing,
    measure_label,
    metric_label,
    panel_label,
    percent,
    subset_label,
)
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, Report
from lacuna.reporting.robustness.matrices import subset_order

Labels = tuple[str, str, str]  # name, title and caption of a table
MARKS = "Bold: best mean of the column. Italics (underlined in LaTeX): the interval contains the best mean."


def rates_table(report: Report, metric: str, panel: Panel) -> Table:
    """Return scores by missing rate, for one metric and pattern."""
    own = rows_where(report.summary, pattern=panel[0], setting=panel[1], metric=metric)
    rates = sorted(own["rate"].unique())
    caption = f"{metric_label(metric)} on the test split by missing rate, pattern: {panel_label(*panel)}"
    if reached := reached_rates(report, panel):
        caption += f" ({reached[0].lower()}{reached[1:].rstrip('.')})"
    labels = (_name("rates", *panel, metric), panel_label(*panel), caption)
    return _wide(report, own, key="rate", heads={r: percent(r) for r in rates}, metric=metric, labels=labels)


def reached_rates(report: Report, panel: Panel) -> str:
    """Return a sentence on requested rates that a pattern did not reach, or an empty text."""
    own = rows_where(report.summary, pattern=panel[0], setting=panel[1]).drop_duplicates("rate")
    off = own[(own["rate"] - own["measured_rate"]).abs() > 0.02].sort_values("rate")
    parts = []
    for reached, rows in off.groupby(off["measured_rate"].round(3), sort=False):
        low, high = percent(rows["rate"].min()), percent(rows["rate"].max())
        parts.append(f"requested {low}{f' to {high}' if low != high else ''}, removed {percent(float(str(reached)))}")
    return f"{capital('; '.join(parts))}." if parts else ""


def subsets_table(report: Report, metric: str) -> Table:
    """Return scores by available modalities, for one metric."""
    own = rows_where(subset_rows(report.summary), metric=metric)
    columns = subset_order(report.summary)
    caption = f"{metric_label(metric)} on the test split by available modalities"
    if report.areas is not None:  # the last column is the mean over subsets
        mean = rows_where(_required(report.areas), pattern=FIXED, metric=metric, measure="subset_mean")
        own = pd.concat([own, mean.assign(setting="subset_mean")])
        columns = [*columns, *(["subset_mean"] if len(mean) else [])]
    heads = {c: measure_label(c) if c == "subset_mean" else subset_label(c) for c in columns}
    labels = (_name("subsets", metric), "available modalities", caption)
    return _wide(report, own, key="setting", heads=heads, metric=metric, labels=labels)


def areas_table(report: Report, metric: str, panel: Panel) -> Table:
    """Return area measures, for one metric and pattern."""
    own = rows_where(_required(report.areas), pattern=panel[0], setting=panel[1], metric=metric)
    heads = {m: measure_label(m) for m in dict.fromkeys(own["measure"])}
    caption = f"Area measures of {metric_label(metric)}, pattern: {panel_label(*panel)}"
    labels = (_name("areas", *panel, metric), panel_label(*panel), caption)
    table = _wide(report, own, key="measure", heads=heads, metric=metric, labels=labels)
    up = [label for m, label in heads.items() if higher_is_better(metric, m) and not higher_is_better(metric)]
    return replace(table, note=table_note(report, metric, up)) if up else table


def comparisons_table(report: Report, metric: str, measure: str, panel: Panel) -> Table:
    """Return paired differences with interval and p-value, best-ranked models first."""
    own = rows_where(_required(report.comparisons), pattern=panel[0], setting=panel[1], metric=metric, measure=measure)
    place = {name: i for i, name in enumerate(report.ranked)}
    rows = []
    for row in records(own):
        a, b, d, low, high = row.model_a, row.model_b, row.difference, row.low, row.high
        if place.get(b, 0) < place.get(a, 0):
            a, b, d, low, high = b, a, -d, -high, -low
        mark = "best" if low > 0 or high < 0 else ""
        p = "n/a" if pd.isna(row.p_value) else "<0.001" if row.p_value < 0.001 else f"{row.p_value:.3f}"
        rows.append((place.get(a, 0), place.get(b, 0), (a, b, Value(d, low, high, mark), p)))
    caption = f"Paired differences in {metric_label(metric)}: {measure_label(measure)}, pattern: {panel_label(*panel)}"
    note = f"First minus second model. {_level(report)} Bold: the interval excludes 0. {_direction(metric, measure)}"
    name = _name("comparisons", *panel, measure, metric)
    cells: Any = tuple(r[2] for r in sorted(rows, key=lambda r: r[:2]))
    title = f"{measure_label(measure)}, {panel_label(*panel)}"
    return Table(name, title, caption, ("Model", "compared with", "Difference", "p"), cells, note, sign=True)


def all_tables(report: Report, *, metrics: Sequence[str] | None = None) -> list[Table]:
    """Return every table that the report's inputs allow, for some metrics; default: all metrics."""
    tables = []
    for metric in metrics or report.metrics:
        rows = rows_where(report.summary, metric=metric)
        tables += [rates_table(report, metric, panel) for panel in panels(rows)]
        if (rows["pattern"] == FIXED).any():
            tables.append(subsets_table(report, metric))
        if report.areas is not None:
            tables += [areas_table(report, metric, p) for p in panels(rows_where(report.areas, metric=metric))]
        if report.comparisons is not None:
            own = rows_where(report.comparisons, metric=metric)
            kinds = distinct(own, "measure", "pattern", "setting")
            tables += [comparisons_table(report, metric, measure, (pattern, setting)) for measure, pattern, setting in kinds]
    return [replace(table, name=name) for table, name in zip(tables, unique(t.name for t in tables), strict=True)]


def _required(table: pd.DataFrame | None) -> pd.DataFrame:
    if table is None:
        raise DataError("the report has no such table", expected="areas or comparisons", hint="pass them to Report")
    return table


def _wide(report: Report, own: pd.DataFrame, *, key: str, heads: Mapping[Any, str], metric: str, labels: Labels) -> Table:
    """Return a table with one row per model and one column per value of ``key``; the baseline is the last row."""
    measured = set(own["model"])
    models = [m for m in report.ranked if m in measured]
    ranked = [m not in report.references for m in models]
    by_cell = {(r.model, getattr(r, key)): r for r in records(own)}
    columns = []
    for k in heads:
        cells = [by_cell.get((m, k)) for m in models]
        values = [Value(float("nan")) if r is None else Value(r.mean, r.low, r.high) for r in cells]
        baseline = own.loc[own[key] == k, "constant"].mean()
        higher = higher_is_better(metric, k if key == "measure" else "auilc")
        compared = [*ranked, k != "relative_robustness"]  # the baseline does not change with the rate and would always be best
        columns.append(marked([*values, Value(float(baseline))], higher=higher, ranked=compared))
    names = [f"{m} (reference)" if m in report.references else m for m in models] + [report.baseline]
    rows: list[tuple[str | Value, ...]] = [(label, *(column[i] for column in columns)) for i, label in enumerate(names)]
    name, title, caption = labels
    return Table(name, title, caption, ("Model", *heads.values()), tuple(rows), table_note(report, metric))


def _name(*parts: str) -> str:
    return "-".join(slug(p) for p in parts if p)


def _level(report: Report) -> str:
    if report.few_dialogues:
        return f"No intervals: fewer than {MIN_DIALOGUES} test dialogues."
    return f"In brackets: {report.facts.level:.0%} intervals."


def _direction(metric: str, measure: str = "auilc") -> str:
    return "Higher is better." if higher_is_better(metric, measure) else "Lower is better."


def table_note(report: Report, metric: str, but: Sequence[str] = ()) -> str:
    """Return the note of a table: seeds, intervals, direction and marks.

    Args:
        report: measured results.
        metric: metric of the table.
        but: columns in which higher is better although lower is better in the metric.
    """
    trials = trials_text(report.models)
    trials = f" Trials on validation: {trials}." if trials else ""
    seeds = f"Mean over {report.seeds}. " if max(report.trainings.values(), default=1) > 1 else ""
    direction = f"Lower is better, but higher in {listing(list(but))}." if but else _direction(metric)
    return capital(f"{seeds}{_level(report)} {direction} {MARKS}{trials}")
