"""Write a report: one HTML page, the tables in three formats, a results page, and a card for each model."""

from __future__ import annotations

from pathlib import Path

from lacuna.atomic import write_text
from lacuna.reporting.cards import card_name, model_card
from lacuna.reporting.facts import Report
from lacuna.reporting.html import render_html
from lacuna.reporting.results import results_page
from lacuna.reporting.table import to_csv, to_latex, to_markdown
from lacuna.reporting.tables import all_tables

LONG = ("summary", "areas", "comparisons", "scores")


def write_report(folder: Path, report: Report) -> Path:
    """Write everything, each file whole or not at all; the page comes last.

    Args:
        folder: made if needed; gets ``report.html``, ``results.md``, ``tables/`` and ``cards/``.
        report: what to write.

    Returns:
        Path of ``report.html``.
    """
    for table in all_tables(report):
        stem = folder / "tables" / table.name
        write_text(stem.with_name(f"{table.name}.csv"), to_csv(table))
        write_text(stem.with_name(f"{table.name}.md"), f"{table.caption}. {table.note}\n\n{to_markdown(table)}")
        write_text(stem.with_name(f"{table.name}.tex"), to_latex(table))
    for name in LONG:
        rows = getattr(report, name)
        if rows is not None:
            write_text(folder / "tables" / f"{name}.csv", rows.to_csv(index=False, lineterminator="\n"))
    for model in report.ranked:
        write_text(folder / "cards" / card_name(model), model_card(report, model))
    write_text(folder / "results.md", results_page(report))
    page = folder / "report.html"
    write_text(page, render_html(report))
    return page
