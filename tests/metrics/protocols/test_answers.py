"""Free-text answers: every kind of mess becomes the right label, or a status that says why there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols import answer_map, answers_report, map_answers, read_answer_map, read_answers, score_tables
from lacuna.metrics.protocols.answers import map_answer

CLASSES = ["happy", "sad", "anger", "neutral"]
MEANING = answer_map(CLASSES, {"sad": ["down in the dumps"]})


@pytest.mark.parametrize(
    ("text", "labels", "status"),
    [
        ("Happy", ["happy"], "one label"),
        ("The speaker sounds JOYFUL!", ["happy"], "one label"),
        ("**Emotion:** sadness", ["sad"], "one label"),
        ("He is down in the dumps.", ["sad"], "one label"),
        ("She is not happy.", [], "negated only"),
        ("She is not happy but sad.", ["sad"], "one label"),
        ("She isn\u2019t at all happy, she is furious.", ["anger"], "one label"),
        ("Neither happy nor sad: neutral.", ["neutral"], "one label"),
        ("Not happy at first. Later happy.", ["happy"], "one label"),
        ("There is no emotion in the voice.", ["neutral"], "one label"),
        ("Happy and a little sad", ["happy", "sad"], "several labels"),
        ("sad, sad, and sadness again", ["sad"], "one label"),
        ("I'm sorry, I cannot tell whether the person is happy or sad.", [], "refusal"),
        ("I cannot be sure, but he seems angry.", ["anger"], "one label"),
        ("As an AI I do not see faces. The text is happy.", ["happy"], "one label"),
        ("<think>sad or angry?</think><answer>neutral</answer>", ["neutral"], "one label"),
        ('{"emotion": "anger", "reason": "she is not happy"}', ["anger"], "one label"),
        ('{"emotion": ["happy", "sad"]}', ["happy", "sad"], "several labels"),
        ("Sie ist nicht fröhlich, sondern traurig.", ["sad"], "one label"),
        ("Il n'est pas heureux mais triste", ["sad"], "one label"),
        ("他很高兴", ["happy"], "one label"),
        ("他不高兴", [], "negated only"),
        ("她非常愤怒。", ["anger"], "one label"),
        ("A bewildered look.", [], "no known word"),
        ("unhappy", ["sad"], "one label"),
        ("  ", [], "empty"),
        ("🙂", [], "no known word"),
    ],
)
def test_what_an_answer_says(text: str, labels: list[str], status: str) -> None:
    answer = map_answer(text, MEANING)
    assert (list(answer.labels), answer.status) == (labels, status)


TABLE = pd.DataFrame({"id": ["1", "2", "3"], "text": ["happy", "happy and sad", "no idea"], "model": "m"})


@pytest.mark.parametrize(
    ("several", "predicted", "p_happy"),
    [("shares", ["happy", "happy", ""], [1, 0.5, 0.25]), ("first", ["happy", "happy", ""], [1, 1, 0.25]),
     ("none", ["happy", "", ""], [1, 0.25, 0.25])],
)  # fmt: skip
def test_several_labels_become_what_the_map_says(several: str, predicted: list[str], p_happy: list[float]) -> None:
    mapped = map_answers(TABLE, answer_map(CLASSES, several=several))
    assert list(mapped["predicted"]) == predicted
    assert list(mapped["p_happy"]) == p_happy
    assert mapped.filter(like="p_").sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert list(mapped["labels"]) == ["happy", "happy;sad", ""]
    assert list(mapped["model"]) == ["m"] * 3


def test_mapped_answers_are_scored_and_what_is_lost_is_an_error() -> None:
    truth = pd.DataFrame({"id": ["1", "2", "3"], "label": ["happy", "happy", "happy"]})
    table = score_tables("classes", map_answers(TABLE, MEANING), truth).set_index("metric")["value"]
    assert table["accuracy"] == pytest.approx(2 / 3)
    assert table["answered"] == pytest.approx(2 / 3)


def test_the_report_shows_what_was_not_mapped() -> None:
    report = answers_report(map_answers(TABLE, MEANING), list(TABLE["text"]))
    assert "3 answers, 2 with a predicted class" in report
    assert "3 [no known word]: no idea" in report


def test_an_id_may_come_back_for_another_set_of_modalities_only() -> None:
    table = pd.DataFrame({"id": ["1", "1"], "text": "happy", "modalities": ["text", "audio"]})
    assert list(map_answers(table, MEANING)["modalities"]) == ["text", "audio"]
    with pytest.raises(DataError, match="twice"):
        map_answers(table.drop(columns="modalities"), MEANING)


@pytest.mark.parametrize("name", ["answers.csv", "answers.json", "answers.jsonl", "ids.json"])
def test_every_format_gives_the_same_table(tmp_path: Path, name: str) -> None:
    rows = [{"id": "1", "response": 'he said: "none", sad'}, {"id": "2", "response": "高兴"}]
    path = tmp_path / name
    if name == "answers.csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif name == "answers.jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    elif name == "answers.json":
        path.write_text(json.dumps(rows), "utf-8")
    else:
        path.write_text(json.dumps({row["id"]: row["response"] for row in rows}), "utf-8")
    table, column = read_answers(path)
    assert list(map_answers(table, MEANING, column)["predicted"]) == ["sad", "happy"]


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{broken\n', "utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_answers(tmp_path / "a.jsonl")
    (tmp_path / "b.csv").write_text("id,text,answer\n1,a,b\n", "utf-8")
    with pytest.raises(ConfigError, match="--text COLUMN"):
        read_answers(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("name,text\n1,a\n", "utf-8")
    with pytest.raises(ConfigError, match="--id COLUMN"):
        read_answers(tmp_path / "c.csv")
    with pytest.raises(ConfigError, match="no file"):
        read_answers(tmp_path / "d.csv")


def test_a_map_file_declares_words_negations_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'classes = ["up", "down"]\nseveral = "none"\n[words]\nup = ["hoch"]\n'
        '[negation]\nwords = ["kaum"]\nreach = 1\n[refusal]\nphrases = ["weiß nicht"]\n',
        "utf-8",
    )
    meaning = read_answer_map(path)
    assert map_answer("kaum hoch", meaning).status == "negated only"
    assert map_answer("kaum so hoch", meaning).labels == ("up",)
    assert map_answer("ich weiß nicht ob up oder down", meaning).status == "refusal"
    path.write_text('classes = ["up"]\nword = 1\n', "utf-8")
    with pytest.raises(ConfigError, match="did you mean 'words'"):
        read_answer_map(path)


def test_a_word_belongs_to_one_class() -> None:
    with pytest.raises(ConfigError, match="two classes"):
        answer_map(["a", "b"], {"a": ["x"], "b": ["x"]})
    with pytest.raises(ConfigError, match="which is no class"):
        answer_map(["a"], {"c": ["x"]})
