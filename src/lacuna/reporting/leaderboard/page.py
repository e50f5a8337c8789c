"""The leaderboard as one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lacuna.atomic import write_json, write_text
from lacuna.reporting.core.html import Plot, environment, read_part, script_json
from lacuna.reporting.core.style import styles, template
from lacuna.reporting.core.table import to_csv
from lacuna.reporting.core.words import CONSTANT
from lacuna.reporting.leaderboard.figures import areas_of, ladder
from lacuna.reporting.leaderboard.tables import LIMITS, Leaderboard, leaderboard_markdown
from lacuna.reporting.robustness.results import MISUSE


def write_board(folder: Path, page: Leaderboard, provenance: Mapping[str, object]) -> Path:
    """Write ``leaderboard.md``, CSV tables, ``provenance.json`` and, last, ``index.html``.

    What depends on time and machine is in ``provenance.json`` and in the foot of the HTML page; everything else is the same bytes
    for the same cells.

    Args:
        folder: made if needed.
        page: what to write.
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
    """The page."""
    references = tuple(dict.fromkeys(r for b in page.boards for r in b.references))
    looks = styles((m for b in page.boards for m in b.standing.models), references)
    plots = [Plot("boards", board.name, areas_of(board, looks)) for board in page.boards]
    ranked = len(page.models) > 1
    if ranked:
        note = "Whiskers: intervals over test dialogues and seeds of these corpora. Grey bars: not told apart by paired tests."
        plots.insert(0, Plot("ladder", "Who can be told apart", ladder(page, looks), note, wide=True))
    figures = [json.loads(plot.figure.to_json()) for plot in plots]
    for figure in figures:
        figure["layout"].pop("template", None)
        figure["layout"]["title"] = {"text": ""}
        figure["layout"]["margin"]["t"] = 16
    data = {"figures": figures, "templates": {theme: template(theme) for theme in ("light", "dark")}}
    return environment().get_template("leaderboard/page.html").render(
        page=page,
        sentences=page.sentences,
        plots=list(enumerate(plots)),
        ranked=ranked,
        rank_table=page.rank_table() if ranked else None,
        pair_table=page.pair_table() if ranked else None,
        boards=[(board, page.board_table(board), page.reports.get(board.name, "")) for board in page.boards],
        baselines=(CONSTANT,),
        run=list(provenance.items()),
        limits=LIMITS,
        misuse=MISUSE,
        css=Markup(read_part("core/page.css")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(script_json(data)),
    )  # fmt: skip
