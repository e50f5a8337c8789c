"""Words on emotion wheels, clues, and scores of a judge."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from lacuna.errors import DataError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.clue_overlap import token_f1
from lacuna.metrics.protocols.vocabulary import read_vocabulary


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Two small wheels of our own, synonyms and inflections."""
    contents = {
        "wheels": "wheel,level1,level2,level3\n"
        "one,joy,content,serene\none,joy,amused,playful\none,anger,irritated,annoyed\n"
        "two,good,joy,serene\ntwo,bad,anger,annoyed\n",
        "synonyms": "word,canonical\ncheerful,joy\nmad,anger\n",
        "inflections": "word,canonical\nmaddened,mad\n",
    }
    for name, text in contents.items():
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
    return {name: str(tmp_path / f"{name}.csv") for name in contents}


def scores(name: str, predicted: list[str], truth: list[str], **options: object) -> dict[tuple[str, str], float]:
    ids = [str(i) for i in range(len(truth))]
    table = score_tables(
        name, pd.DataFrame({"id": ids, "labels": predicted}), pd.DataFrame({"id": ids, "labels": truth}), **options
    )
    return {(row.subset, row.metric): row.value for row in table.itertuples()}


def test_words_reach_a_wheel_through_inflections_and_synonyms(files: dict[str, str]) -> None:
    vocabulary = read_vocabulary(**files)
    assert vocabulary.group("maddened", ("one", "level1")) == "anger"
    assert vocabulary.group("serene", ("one", "level2")) == "content"
    assert vocabulary.group("joy", ("one", "level2")) == "amused"  # the first of amused and content
    assert vocabulary.group("bored", ("one", "level1")) == ""


def test_values_by_hand_on_two_wheels(files: dict[str, str]) -> None:
    got = scores("open_vocabulary", ["cheerful, annoyed; bored", "mad"], ["serene", "annoyed"], **files)
    # level 1 of wheel one: {joy, anger} against {joy}, {anger} against {anger}: precision (1/2 + 1) / 2, recall 1
    f_level1 = 2 * 0.75 * 1 / 1.75
    assert got["one/level1", "f1"] == pytest.approx(f_level1)
    assert got["two/level1", "f1"] == pytest.approx(f_level1)
    # level 2 of wheel one: cheerful -> joy -> amused, serene -> content; mad -> anger -> irritated: precision .5 of 2, recall .5
    assert got["one/level2", "f1"] == pytest.approx(0.5)
    assert got["level1", "f1"] == pytest.approx(f_level1)
    assert got["level2", "f1"] == pytest.approx((0.5 + f_level1) / 2)
    assert got["all", "f1"] == pytest.approx((got["level1", "f1"] + got["level2", "f1"]) / 2)
    assert got["all", "dropped"] == pytest.approx(1 / 4)


def test_without_wheels_words_are_their_own_groups() -> None:
    got = scores("open_vocabulary", ["joy, fear", ""], ["Joy", "sad"])
    assert got["all", "precision"] == 0.25
    assert got["all", "recall"] == 0.5
    assert got["all", "hit"] == 0.5


def test_empty_and_unknown_words(files: dict[str, str]) -> None:
    unknown = scores("open_vocabulary", ["bored"], ["joy"], wheels=files["wheels"])
    assert unknown["one/level1", "f1"] == 0  # a dropped prediction is an empty one
    no_truth = scores("open_vocabulary", ["joy", "joy"], ["bored", "joy"], wheels=files["wheels"])
    assert no_truth["one/level1", "f1"] == 1  # the first sample has no true group and is left out
    assert math.isnan(scores("open_vocabulary", ["joy"], ["bored"], wheels=files["wheels"])["all", "f1"])


def test_a_wheel_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("wheel,level1\none,joy\n", "utf-8")
    with pytest.raises(DataError, match="no column 'level2'"):
        scores("open_vocabulary", ["joy"], ["joy"], wheels=str(tmp_path / "w.csv"))


def test_token_f1_counts_repeated_words_and_characters() -> None:
    assert token_f1("", "") == 1
    assert token_f1("a smile", "") == 0
    assert token_f1("low low voice", "low voice voice") == pytest.approx(2 * 2 / 6)
    assert token_f1("微笑", "笑") == pytest.approx(2 / 3)


def test_explanations_overlap_in_clues_and_labels() -> None:
    truth = pd.DataFrame({"id": ["1", "2"], "clues": ["a low voice", "tears"], "labels": ["sad", "sad"]})
    predictions = truth.assign(clues=["low voice", "laughs"], judge_clues=["7", ""])
    got = score_tables("emer", predictions, truth).set_index("metric")
    assert got["value"]["clue_overlap"] == pytest.approx((0.8 + 0) / 2)
    assert got["value"]["label_overlap"] == 1
    assert got["value"]["overall"] == pytest.approx(0.7)
    assert (got["value"]["judge_clues"], got["n"]["judge_clues"]) == (7, 1)


def test_judged_steps_by_hand() -> None:
    predictions = pd.DataFrame({"id": list("abc"), "steps": ["1;0;1", "0.5", ""], "task": ["t", "t", "u"]})
    table = score_tables("mme_emotion", predictions)
    got = table[table["subset"] == "all"].set_index("metric")["value"]
    assert got["recognition"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert got["reasoning"] == pytest.approx((0.5 + 0 + 0) / 3)
    assert got["chain"] == pytest.approx(0.5 * got["recognition"] + 0.5 * got["reasoning"])
    assert got["average_steps"] == pytest.approx(4 / 3)
    assert set(table["subset"]) == {"all", "t", "u"}
    with pytest.raises(DataError, match="utterance 'a'"):
        score_tables("mme_emotion", pd.DataFrame({"id": ["a"], "steps": ["1;7"]}))
