"""Build a report from the tables of a run and write it: HTML page, results page, tables in three formats, one card per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from lacuna.atomic import write_text
from lacuna.evaluation import CEILINGS, Tables, primary, summarise_recovery
from lacuna.progress import progress
from lacuna.reporting.core.table import slug, to_csv, to_latex, to_markdown, unique
from lacuna.reporting.recovery.tables import recovery_tables
from lacuna.reporting.robustness.cards import model_card
from lacuna.reporting.robustness.dynamics import dynamics_tables
from lacuna.reporting.robustness.facts import ModelFacts, Report, RunFacts
from lacuna.reporting.robustness.page import render_html
from lacuna.reporting.robustness.results import results_page
from lacuna.reporting.robustness.sureness import sureness_tables
from lacuna.reporting.robustness.tables import all_tables
from lacuna.text import csv_text
from lacuna.training.trained import TrainedRecognizer

LONG = ("summary", "areas", "comparisons", "scores", "recovery", "calibration", "risk_coverage", "sureness")


def composed(
    facts: RunFacts,
    tables: Tables,
    recognizers: Sequence[TrainedRecognizer],
    *,
    history: pd.DataFrame,
    recovery: pd.DataFrame,
    points: pd.DataFrame,
    examples: pd.DataFrame | None = None,
    dynamics: pd.DataFrame | None = None,
) -> Report:
    """Return the report of one run.

    Args:
        facts: facts about the run.
        tables: tables of the evaluation; fields that :class:`Report` does not have are ignored.
        recognizers: trained recognisers of all models and seeds, in the order of the run.
        history: training log, one row per epoch.
        recovery: table of :func:`lacuna.evaluation.score_recovery`.
        points: table of :func:`lacuna.evaluation.recovered_points`.
        examples: table of :func:`lacuna.evaluation.example_table`.
        dynamics: table of :func:`lacuna.evaluation.dynamics_table`.
    """
    by_variant: dict[str, list[TrainedRecognizer]] = {}
    for trained in recognizers:
        by_variant.setdefault(trained.variant, []).append(trained)
    known = {f.name for f in fields(Report)}
    evaluated: Mapping[str, Any] = {name: table for name, table in tables._asdict().items() if name in known}
    return Report(
        facts=facts,
        **evaluated,
        primary=primary(recognizers[0].schema.target),
        history=history,
        recovery=summarise_recovery(recovery, facts.level),
        points=points,
        examples=examples,
        dynamics=dynamics,
        models={variant: ModelFacts.of(own) for variant, own in by_variant.items()},
        references=references_of(by_variant, tables.summary),
    )


def references_of(by_variant: Mapping[str, Sequence[TrainedRecognizer]], summary: pd.DataFrame) -> tuple[str, ...]:
    """Return the models that are shown in grey and not ranked: the baseline as a model, and known ceilings."""
    priors = [variant for variant, own in by_variant.items() if own[0].name == "prior"]
    return tuple(name for name in (*priors, *CEILINGS) if (summary["model"] == name).any())


def write_report(folder: Path, report: Report) -> Path:
    """Write all files atomically, delete tables and cards of earlier runs, and write the HTML page last.

    Args:
        folder: created if needed; gets ``report.html``, ``results.md``, ``tables/`` and ``cards/``.
        report: content.

    Returns:
        Path of ``report.html``.
    """
    written: set[Path] = set()

    def write(path: Path, text: str) -> None:
        write_text(path, text)
        written.add(path)

    tables = [*all_tables(report), *recovery_tables(report), *sureness_tables(report), *dynamics_tables(report)]
    with progress("report", 3 * len(tables)) as shown:  # the page takes about twice as long as the tables
        for number, table in enumerate(tables):
            shown.update(number, "tables")
            stem = folder / "tables" / table.name
            write(stem.with_name(f"{table.name}.csv"), to_csv(table))
            write(stem.with_name(f"{table.name}.md"), f"{table.caption}. {table.note}\n\n{to_markdown(table)}")
            write(stem.with_name(f"{table.name}.tex"), to_latex(table))
        shown.update(len(tables), "page")
        page_html = render_html(report)
    for name in LONG:
        rows = getattr(report, name)
        if rows is not None:
            write(folder / "tables" / f"{name}.csv", csv_text(rows))
    for model, name in zip(report.ranked, unique(map(slug, report.ranked)), strict=True):
        write(folder / "cards" / f"{name}.md", model_card(report, model))
    write(folder / "results.md", results_page(report))
    _delete_others(folder / "tables", (".csv", ".md", ".tex"), written)
    _delete_others(folder / "cards", (".md",), written)
    page = folder / "report.html"
    write(page, page_html)
    return page


def _delete_others(folder: Path, suffixes: tuple[str, ...], written: set[Path]) -> None:
    """Delete files of an earlier run with these suffixes; other files and subfolders stay."""
    kept = {path.name.casefold() for path in written if path.parent == folder}
    for path in folder.glob("*"):
        if path.suffix in suffixes and path.name.casefold() not in kept and path.is_file():
            path.unlink(missing_ok=True)
