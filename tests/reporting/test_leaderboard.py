"""The leaderboard: which corpora count for the ranks, cautions on few corpora, and a self-contained page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lacuna.errors import DataError
from lacuna.evaluation.ranks import Standing
from lacuna.reporting import Value
from lacuna.reporting.leaderboard.page import write_board
from lacuna.reporting.leaderboard.tables import Board, Leaderboard, leaderboard_markdown

MODELS = ("prior", "mlp", "gru", "<b>")


def board(name: str, points: list[float], data: str = "", models: tuple[str, ...] = MODELS, higher: bool = True) -> Board:
    values = np.array(points)[:, None] + [0.0, 0.02]
    draws = values + np.random.default_rng(len(name)).normal(size=(200, len(points), 2)) * 0.01
    panels = (("rmm", ""), ("outage", ""))
    metric = "weighted_f1" if higher else "mae"
    one = Standing(name, metric, higher, models, panels, "auilc", values, draws, 0.2, 0.95, 30)
    return Board(one, dict.fromkeys(models, 3), ("prior",), 80, data or name)


@pytest.fixture
def page() -> Leaderboard:
    first = board("mosi", [0.2, 0.5, 0.51, 0.3])
    second = board("youtube", [0.6, 0.2, 0.21, 0.5], higher=False)
    again = board("mosi_again", [0.2, 0.5, 0.6], data="mosi", models=("prior", "mlp", "extra"))
    return Leaderboard("floor", (first, second, again), {"mosi": "../mosi/report.html"})


def test_each_corpus_counts_once_and_references_have_no_rank(page: Leaderboard) -> None:
    assert [b.name for b in page.counted] == ["mosi", "youtube"]
    assert page.models == ["mlp", "gru", "<b>"]
    assert page.left_out == ["extra"]
    assert page.ranks["rank"].tolist() == [1.5, 1.5, 3]
    assert page.groups == [["gru", "mlp"]]
    text = " ".join(page.sentences)
    assert "mosi_again has the test utterances of mosi: it is shown but does not count for the ranks." in text
    assert "Not ranked because not measured on every corpus: extra." in text
    assert "ranks and tests over 2 corpora describe these corpora only" in text
    assert "No single best model: no significant difference between gru and mlp" in text
    assert "On youtube not better than the mean baseline: mlp, gru and <b>." in text  # the baseline has an error of 0.2 as well
    assert "On mosi not better" not in text


def test_the_headline_lists_every_model_without_a_significant_difference_to_the_leader() -> None:
    """A model further down can be tied with the leader although one between them is not."""
    points = np.array([0.5, 0.45, 0.44])[:, None]
    noise = np.random.default_rng(0).normal(size=(200, 3, 1)) * [[0.001], [0.001], [0.2]]
    one = Standing("c", "weighted_f1", True, ("a", "b", "wild"), (("rmm", ""),), "auilc", points, points + noise, 0.2, 0.95, 30)
    page = Leaderboard("x", (Board(one, {}, (), 80, "c"),))
    alike = page.pairs.query("model_a == 'a' and p_holm >= 0.05")["model_b"].tolist()
    assert alike == ["wild"] == page.tied_with_leader
    assert page.groups == [["b", "wild"]]
    assert page.sentences[0].startswith("No single best model: no significant difference between a and wild")
    sure = Leaderboard("x", (board("mosi", [0.2, 0.9, 0.51, 0.3]),))
    assert "differs significantly from every other model (paired tests, Holm-corrected, level 5%)" in sure.sentences[0]


def test_unfinished_cells_are_reported(page: Leaderboard) -> None:
    one = page.boards[0]
    late = Board(one.standing, one.seeds, one.references, one.utterances, one.data, ("gru, seed 2",))
    assert "mosi is not finished: every number lacks gru, seed 2" in " ".join(Leaderboard("x", (late,)).sentences)


def test_every_table_shows_the_baseline_and_intervals(page: Leaderboard) -> None:
    table = page.board_table(replace(page.boards[0], trials={"prior": 1, "gru": 8}))
    patterns = ("whole modalities (rmm)", "outages over several turns (outage)", "mean of patterns")
    assert table.columns[1:] == (*patterns, "Trials", "Seeds")
    assert [row[4] for row in table.rows] == ["8", "", "", "1", ""]
    assert [row[0] for row in table.rows] == ["gru", "mlp", "<b>", "prior (reference)", "majority-class baseline"]
    assert table.rows[0][3].mark == "best"  # type: ignore[union-attr]
    assert page.boards[1].order[0] == "mlp"  # of errors the smaller is the better


def test_the_same_boards_give_the_same_text_and_time_is_kept_apart(page: Leaderboard, tmp_path: Path) -> None:
    for made in ("today", "tomorrow"):
        write_board(tmp_path / made, page, {"command": "lacuna bench mosi", "made": made})
    for name in ("leaderboard.md", "ranks.csv", "pairs.csv", "board-mosi.csv"):
        assert (tmp_path / "today" / name).read_bytes() == (tmp_path / "tomorrow" / name).read_bytes()
    assert json.loads((tmp_path / "tomorrow/provenance.json").read_text())["made"] == "tomorrow"
    assert "today" not in leaderboard_markdown(page)


def test_the_page_loads_nothing_and_takes_no_name_for_markup(page: Leaderboard, tmp_path: Path) -> None:
    text = write_board(tmp_path, page, {"command": "lacuna bench"}).read_text("utf-8")
    head = text.split("<script")[0]
    assert "default-src 'none'" in head
    assert 'src="' not in head
    assert '<th scope="row">&lt;b&gt;</th>' in text
    assert 'href="../mosi/report.html"' in text


def test_no_corpus_is_no_page() -> None:
    with pytest.raises(DataError, match="at least one corpus"):
        Leaderboard("none", ())


def test_a_board_with_few_dialogues_has_no_intervals() -> None:
    one = board("mosi", [0.2, 0.5, 0.51, 0.3])
    few = Board(replace(one.standing, dialogues=6), one.seeds, one.references, one.utterances, one.data)
    page = Leaderboard("x", (few,))
    assert "mosi has 6 test dialogues, fewer than 10: no intervals are shown" in " ".join(page.sentences)
    cells = [cell for row in page.board_table(few).rows for cell in row if isinstance(cell, Value)]
    assert cells
    assert all(np.isnan(cell.low) for cell in cells)
