"""The robustness report as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.recovery.quality import MEAN_FILL
from lacuna.reporting.core.frames import distinct, panels, records, rows_where, subset_rows
from lacuna.reporting.core.html import Plot, environment, page_parts
from lacuna.reporting.core.style import GREY, Style, styles
from lacuna.reporting.core.words import capital, measure_label, measure_note, metric_label, metric_note, panel_label, pattern_note
from lacuna.reporting.recovery.figures import cloud_note, clouds, share_measure, shares
from lacuna.reporting.recovery.tables import recovery_order, recovery_tables, spans, unit_notes
from lacuna.reporting.robustness.cautions import class_counts
from lacuna.reporting.robustness.dynamics import dynamics_tables
from lacuna.reporting.robustness.facts import Report
from lacuna.reporting.robustness.figures import areas, curves, recall_by_class, training
from lacuna.reporting.robustness.findings import headline
from lacuna.reporting.robustness.matrices import comparisons, confusion, subsets
from lacuna.reporting.robustness.probabilities import class_balance, reliability, risk_coverage
from lacuna.reporting.robustness.results import LIMITS, MISUSE, absence_lines, run_lines
from lacuna.reporting.robustness.summary import headline_sentence, tiles
from lacuna.reporting.robustness.sureness import sureness_tables
from lacuna.reporting.robustness.tables import all_tables, reached_rates

MANY, SHOWN = 5, 4  # with more ranked models than MANY, the best SHOWN are in colour at first
EXAMPLES = 12
SEVERE = ("Accuracy above the ceiling", "No intervals", "One test class")


def render_html(report: Report) -> str:
    """Return the HTML page.

    Args:
        report: content; sections without data are left out.
    """
    looks = styles(report.summary["model"], report.references)
    looks = {name: looks[name] for name in report.ranked}
    plots = page_plots(report, looks)
    competing = [m for m in report.ranked if m not in report.references]
    shown = [*(competing[:SHOWN] if len(competing) > MANY else competing), *report.references]
    findings = headline(report)[1:]
    return environment().get_template("robustness/page.html").render(
        **page_parts(plots, file=report.facts.corpus, shown=shown),
        title=f"{report.facts.corpus}: {report.facts.target} with missing data",
        facts=report.facts,
        sentence=headline_sentence(report),
        tiles=tiles(report),
        cautions=[f for f in findings if f.caution],
        severe=any(f.topic in SEVERE for f in findings),
        findings=[f for f in findings if not f.caution],
        seeds=report.seeds,
        several=max(report.trainings.values(), default=1) > 1,
        intervals=not report.few_dialogues,
        metrics=[(metric_label(m), metric_note(m)) for m in report.metrics],
        primary=metric_label(report.primary),
        patterns=[(capital(panel_label(p)), pattern_note(p)) for p in dict.fromkeys(report.summary["pattern"])],
        measures=_measures(report),
        tables=all_tables(report, metrics=[report.primary]),
        recovery=recovery_tables(report),
        dynamics=dynamics_tables(report),
        recovery_notes=unit_notes(report),
        recovery_spans="" if report.recovery is None else spans(report, report.recovery).replace("In brackets", "Whiskers"),
        oracle=report.recovery is not None and share_measure(report.recovery) == "share_of_oracle",
        baselines=(report.baseline, MEAN_FILL),
        legend=list(looks.items()),
        references=report.references,
        baseline=(report.baseline, GREY),
        sureness=sureness_tables(report),
        examples=examples(report),
        run=[*run_lines(report), *([("Source", report.facts.source)] if report.facts.source != "unknown" else [])],
        absences=absence_lines(report.facts),
        limits=LIMITS,
        misuse=MISUSE,
    )  # fmt: skip


def page_plots(report: Report, looks: Mapping[str, Style]) -> list[Plot]:
    """Return every figure that the report's tables allow, in the order of the page."""
    plots, summary, classes = [], report.summary, report.facts.classes
    best_last = dict(reversed(list(looks.items())))  # the best models are drawn on top
    for panel in panels(summary):
        figure = curves(summary, metrics=report.metrics, only=panel, looks=best_last)
        plots.append(Plot("curves", capital(panel_label(*panel)), figure, reached_rates(report, panel)))
    if len(subset_rows(summary)):
        figure = subsets(summary, models=report.ranked, metrics=report.metrics)
        plots.append(Plot("subsets", "Scores by available modalities", figure, wide=True))
    if report.areas is not None:
        for panel in distinct(report.areas, "pattern", "setting"):
            plots.append(Plot("areas", capital(panel_label(*panel)), areas(report.areas, only=panel, looks=looks)))
    if report.comparisons is not None:
        rows = rows_where(report.comparisons, metric=report.primary)
        compared = [m for m in report.ranked if m not in report.references and m in {*rows["model_a"], *rows["model_b"]}]
        if len(compared) > 1:
            note = "Blue: the row is better. Orange: the column is better. Bold: the interval of the difference excludes 0."
            plots.append(
                Plot("comparisons", "Row minus column", comparisons(rows, models=compared), note, wide=len(compared) > 4)
            )
    plots += recovery_plots(report, looks)
    if report.confusion is not None and len(report.confusion) and classes:
        figure = confusion(report.confusion, classes, models=report.ranked)
        plots.append(Plot("confusion", "Confusion matrix", figure, "Each row adds up to 100 %."))
        if panels(report.confusion):
            figure = recall_by_class(report.confusion, classes, models=report.ranked)
            plots.append(Plot("confusion", "Recall by class", figure))
    if report.calibration is not None:
        plots.append(Plot("calibration", "Reliability diagram", reliability(report.calibration, looks=looks)))
    if report.risk_coverage is not None:
        plots.append(Plot("calibration", "Risk-coverage curve", risk_coverage(report.risk_coverage, looks=looks)))
    if report.history is not None:
        chosen = {(name, seed): epoch for name, about in report.models.items() for seed, epoch in about.chosen.items()}
        figure = training(report.history, looks=looks, chosen=chosen)
        note = "One line per training seed." + (" A ring marks the epoch of the selected weights." if chosen else "")
        plots.append(Plot("training", "Training history", figure, note, wide=True))
    if counts := class_counts(report):
        plots.append(Plot("balance", "Class balance", class_balance(counts, classes)))
    return plots


def recovery_plots(report: Report, looks: Mapping[str, Style]) -> list[Plot]:
    """Return the figures of recovery quality."""
    plots, table, points = [], report.recovery, report.points
    if table is not None:
        rows = table[(table["measure"] == share_measure(table)) & (table["pattern"] != FIXED)]
        for modality in dict.fromkeys(rows.dropna(subset=["mean"])["modality"]):
            figure = shares(table, modality, models=recovery_order(report, list(rows["model"])), looks=looks)
            plots.append(Plot("recovery", capital(modality), figure))
    if points is not None:
        figure = clouds(points, models=recovery_order(report, list(points["model"])), looks=looks)
        plots.append(Plot("recovered", "Recovered and true vectors", figure, cloud_note(points), wide=True))
    return plots


def examples(report: Report) -> list[dict[str, Any]]:
    """Return example utterances: text, missing modalities, true class, and the prediction of each model."""
    if report.examples is None:
        return []
    shown = []
    for (name, text, missing, truth), rows in report.examples.groupby(["id", "text", "missing", "truth"], sort=False):
        answers = [
            (r.model, str(r.answer), None if pd.isna(r.confidence) else r.confidence, str(r.answer) == str(truth))
            for r in records(rows)
        ]
        shown.append({"id": name, "text": text, "missing": missing, "truth": truth, "answers": answers})
    return shown[:EXAMPLES]


def _measures(report: Report) -> list[tuple[str, str]]:
    if report.areas is None:
        return []
    return [(measure_label(m), measure_note(m)) for m in dict.fromkeys(report.areas["measure"])]
