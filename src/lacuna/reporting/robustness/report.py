"""Write a report: one HTML page, the tables in three formats, a results page, and a card for each model."""

from __future__ import annotations

from pathlib import Path

from lacuna.atomic import write_text
from lacuna.reporting.core.html import render_html
from lacuna.reporting.core.table import slug, to_csv, to_latex, to_markdown, unique
from lacuna.reporting.recovery.tables import recovery_tables
from lacuna.reporting.robustness.cards import model_card
from lacuna.reporting.robustness.facts import Report
from lacuna.reporting.robustness.results import results_page
from lacuna.reporting.robustness.tables import all_tables

LONG = ("summary", "areas", "comparisons", "scores", "recovery")


def write_report(folder: Path, report: Report) -> Path:
    """Write everything, each file whole or not at all, and sweep the tables and cards of earlier runs; the page comes last.

    Args:
        folder: made if needed; gets ``report.html``, ``results.md``, ``tables/`` and ``cards/``.
        report: what to write.

    Returns:
        Path of ``report.html``.
    """
    written: set[Path] = set()

    def write(path: Path, text: str) -> None:
        write_text(path, text)
        written.add(path)

    for table in [*all_tables(report), *recovery_tables(report)]:
        stem = folder / "tables" / table.name
        write(stem.with_name(f"{table.name}.csv"), to_csv(table))
        write(stem.with_name(f"{table.name}.md"), f"{table.caption}. {table.note}\n\n{to_markdown(table)}")
        write(stem.with_name(f"{table.name}.tex"), to_latex(table))
    for name in LONG:
        rows = getattr(report, name)
        if rows is not None:
            write(folder / "tables" / f"{name}.csv", rows.to_csv(index=False, lineterminator="\n"))
    for model, name in zip(report.ranked, unique(map(slug, report.ranked)), strict=True):
        write(folder / "cards" / f"{name}.md", model_card(report, model))
    write(folder / "results.md", results_page(report))
    _sweep(folder / "tables", (".csv", ".md", ".tex"), written)
    _sweep(folder / "cards", (".md",), written)
    page = folder / "report.html"
    write(page, render_html(report))
    return page


def _sweep(folder: Path, suffixes: tuple[str, ...], written: set[Path]) -> None:
    """Delete what an earlier run left in a folder of ours; other kinds of files and folders inside stay."""
    kept = {path.name.casefold() for path in written if path.parent == folder}
    for path in folder.glob("*"):
        if path.suffix in suffixes and path.name.casefold() not in kept and path.is_file():
            path.unlink(missing_ok=True)
