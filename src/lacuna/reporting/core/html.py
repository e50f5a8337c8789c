"""The report as one HTML page that needs nothing else: no network, no fonts, no files beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import plotly.graph_objects as go
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.recovery.quality import MEAN_FILL
from lacuna.reporting.core.frames import distinct, panels, rows_where, subset_rows
from lacuna.reporting.core.style import GREY, SCALES, Style, styles, template
from lacuna.reporting.core.words import (
    CONSTANT,
    capital,
    measure_label,
    measure_note,
    metric_label,
    metric_note,
    panel_label,
    pattern_note,
)
from lacuna.reporting.recovery.figures import cloud_note, clouds, share_measure, shares
from lacuna.reporting.recovery.tables import recovery_order, recovery_tables, spans, unit_notes
from lacuna.reporting.robustness.facts import Report
from lacuna.reporting.robustness.figures import areas, curves, recall_by_class, training
from lacuna.reporting.robustness.findings import headline
from lacuna.reporting.robustness.matrices import comparisons, confusion, subsets
from lacuna.reporting.robustness.results import LIMITS, MISUSE, absence_lines, run_lines
from lacuna.reporting.robustness.tables import all_tables, reached_rates

MANY = 10  # with more models than this, curves start with the best few
SHOWN = 6


@dataclass(frozen=True)
class Plot:
    """A figure with its place on the page.

    Attributes:
        group: figures of a group share their controls.
        title: in words.
        figure: as built.
        note: under the figure.
        wide: takes the whole width.
    """

    group: str
    title: str
    figure: go.Figure
    note: str = ""
    wide: bool = False


def render_html(report: Report) -> str:
    """The page.

    Args:
        report: what to show; sections without data are left out.
    """
    looks = styles(report.summary["model"], report.references)
    looks = {name: looks[name] for name in report.ranked}
    plots = page_plots(report, looks)
    tables = all_tables(report, metrics=[report.primary])
    source = [("Read from", report.facts.source)] if report.facts.source != "unknown" else []
    few = report.ranked[:SHOWN] if len(report.ranked) > MANY else report.ranked
    data = {
        "figures": [json.loads(p.figure.to_json()) for p in plots],
        "groups": [p.group for p in plots],
        "templates": {theme: template(theme) for theme in ("light", "dark")},
        "scales": SCALES,
        "hidden": [m for m in report.ranked if m not in few],
        "file": report.facts.corpus,
    }
    for figure in data["figures"]:
        figure["layout"].pop("template", None)
    return environment().get_template("robustness/page.html").render(
        title=f"{report.facts.corpus}: {report.facts.target} with missing data",
        facts=report.facts,
        findings=headline(report),
        seeds=report.seeds,
        several=max(report.trainings.values(), default=1) > 1,
        metrics=[(metric_label(m), metric_note(m)) for m in report.metrics],
        primary=metric_label(report.primary),
        patterns=[(capital(panel_label(p)), pattern_note(p)) for p in dict.fromkeys(report.summary["pattern"])],
        measures=_measures(report),
        plots=list(enumerate(plots)),
        tables=tables,
        recovery=recovery_tables(report),
        recovery_notes=unit_notes(report),
        recovery_spans="" if report.recovery is None else spans(report, report.recovery).replace("In brackets", "Whiskers"),
        oracle=report.recovery is not None and share_measure(report.recovery) == "share_of_oracle",
        baselines=(CONSTANT, MEAN_FILL),
        legend=list(looks.items()),
        references=report.references,
        constant=(CONSTANT, GREY),
        run=[*run_lines(report), *source],
        absences=absence_lines(report.facts),
        limits=LIMITS,
        misuse=MISUSE,
        css=Markup(read_part("core/page.css")),
        js=Markup(read_part("core/page.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(script_json(data)),
    )  # fmt: skip


def page_plots(report: Report, looks: dict[str, Style]) -> list[Plot]:
    """Every figure that the report's inputs allow, in the order of the page."""
    plots, summary = [], report.summary
    for panel in panels(summary):
        figure = curves(summary, metrics=report.metrics, only=panel, looks=looks)
        plots.append(Plot("curves", capital(panel_label(*panel)), figure, reached_rates(report, panel)))
    if len(subset_rows(summary)):
        figure = subsets(summary, models=report.ranked, metrics=report.metrics)
        plots.append(Plot("subsets", "What each model makes of the modalities it gets", figure, wide=True))
    if report.areas is not None:
        for panel in distinct(report.areas, "pattern", "setting"):
            plots.append(Plot("areas", capital(panel_label(*panel)), areas(report.areas, only=panel, looks=looks)))
    if report.comparisons is not None:
        own = rows_where(report.comparisons, metric=report.primary)
        compared = [m for m in report.ranked if m not in report.references and m in {*own["model_a"], *own["model_b"]}]
        if len(compared) > 1:
            note = "Blue: the row is better. Orange: the column is better. Bold: the interval of the difference excludes 0."
            plots.append(Plot("comparisons", "Row minus column", comparisons(own, models=compared), note, wide=True))
    classes = report.facts.classes
    plots += recovery_plots(report, looks)
    if report.confusion is not None and classes:
        title = f"What each {'emotion' if report.facts.target == 'emotion' else 'class'} is taken for"
        figure = confusion(report.confusion, classes, models=report.ranked)
        plots.append(Plot("confusion", title, figure, "Each row adds up to 100 %."))
        if panels(report.confusion):
            figure = recall_by_class(report.confusion, classes, models=report.ranked)
            plots.append(Plot("confusion", "How much of each class is recognised", figure))
    if report.history is not None:
        chosen = {(name, seed): epoch for name, about in report.models.items() for seed, epoch in about.chosen.items()}
        figure = training(report.history, looks=looks, chosen=chosen)
        note = "One line a training seed." + (" A ring marks the epoch whose weights were kept." if chosen else "")
        plots.append(Plot("training", "Training", figure, note, wide=True))
    return plots


def recovery_plots(report: Report, looks: dict[str, Style]) -> list[Plot]:
    """Figures of what was recovered."""
    plots, table, points = [], report.recovery, report.points
    if table is not None:
        measure = share_measure(table)
        own = table[(table["measure"] == measure) & (table["pattern"] != FIXED)]
        unknown = set(own.loc[own["mean"].isna(), "modality"])
        for modality in dict.fromkeys(own["modality"]):
            figure = shares(table, modality, models=recovery_order(report, list(own["model"])), looks=looks)
            empty = "Where there is no dot, the oracle gains too little over the mean fill." if modality in unknown else ""
            plots.append(Plot("recovery", capital(modality), figure, empty))
    if points is not None:
        figure = clouds(points, models=recovery_order(report, list(points["model"])), looks=looks)
        plots.append(Plot("recovered", "Recovered vectors among the true ones", figure, cloud_note(points), wide=True))
    return plots


def _measures(report: Report) -> list[tuple[str, str]]:
    if report.areas is None:
        return []
    return [(measure_label(m), measure_note(m)) for m in dict.fromkeys(report.areas["measure"])]


def script_json(content: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")


def read_part(name: str) -> str:
    """A file of this room that pages are made of."""
    return resources.files("lacuna.reporting").joinpath(name).read_text("utf-8")


def environment() -> Environment:
    """What templates of this room are rendered in: undefined names are errors, and all text is escaped."""

    def of(plots: Sequence[tuple[int, Plot]], group: str) -> list[tuple[int, Plot]]:
        return [(i, p) for i, p in plots if p.group == group]

    environment = Environment(
        loader=FunctionLoader(read_part), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"of": of, "capital": capital}
    return environment
