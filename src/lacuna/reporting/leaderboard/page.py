"""The leaderboard as one self-contained HTML page, with Markdown and CSV files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lacuna.atomic import write_json, write_text
from lacuna.reporting.core.html import Plot, environment, page_parts
from lacuna.reporting.core.style import styles
from lacuna.reporting.core.table import to_csv
from lacuna.reporting.core.words import MAJORITY, MEAN
from lacuna.reporting.leaderboard.figures import areas_of, ladder
from lacuna.reporting.leaderboard.tables import LIMITS, Leaderboard, leaderboard_markdown
from lacuna.reporting.robustness.results import MISUSE


def write_board(folder: Path, page: Leaderboard, provenance: Mapping[str, object]) -> Path:
    """Write ``leaderboard.md``, CSV tables, ``provenance.json`` and, last, ``index.html``.

    Only ``provenance.json`` and the provenance section of the HTML page depend on time and machine; everything else is
    byte-identical for the same cells.

    Args:
        folder: created if needed.
        page: content.
        provenance: command, commit, versions and the like, by name.

    Returns:
        Path of ``index.html``.
    """
    tables = [page.board_table(board) for board in page.boards]
    if len(page.models) > 1:
        tables += [page.rank_table(), page.pair_table()]
    for table in tables:
        write_text(folder / f"{table.name}.csv", to_csv(table))
    write_text(folder / "leaderboard.md", leaderboard_markdown(page))
    write_json(folder / "provenance.json", dict(provenance))
    target = folder / "index.html"
    write_text(target, board_html(page, provenance))
    return target


def board_html(page: Leaderboard, provenance: Mapping[str, object]) -> str:
    """Return the HTML page."""
    references = tuple(dict.fromkeys(r for b in page.boards for r in b.references))
    looks = styles((m for b in page.boards for m in b.standing.models), references)
    plots = [Plot("boards", board.name, areas_of(board, looks)) for board in page.boards]
    ranked = len(page.models) > 1
    if ranked:
        note = "Whiskers: intervals over test dialogues and seeds of these corpora. Grey bars: no significant difference."
        plots.insert(0, Plot("ladder", "Average ranks", ladder(page, looks), note, wide=True))
    return environment().get_template("leaderboard/page.html").render(
        **page_parts(plots, file=f"leaderboard-{page.name}"),
        page=page,
        sentences=page.sentences,
        ranked=ranked,
        rank_table=page.rank_table() if ranked else None,
        pair_table=page.pair_table() if ranked else None,
        boards=[(board, page.board_table(board), page.reports.get(board.name, "")) for board in page.boards],
        baselines=(MAJORITY, MEAN),
        run=list(provenance.items()),
        limits=LIMITS,
        misuse=MISUSE,
    )  # fmt: skip
