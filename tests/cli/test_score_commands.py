"""``lacuna score`` and ``lacuna answers`` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lacuna.cli import main
from lacuna.metrics.protocols import list_protocols


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_list_names_every_protocol_and_its_columns() -> None:
    output = run("score", "--list").output
    for name in list_protocols():
        assert f"{name}: " in output
    assert "predictions: video, onset, offset, label" in output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    answers = pd.DataFrame(
        {
            "id": ["01", "02", "01", "02"],
            "response": ["Joyful.", "I cannot tell.", "not happy, sad", "anger"],
            "model": "some-llm",
            "modalities": ["text", "text", "text+audio", "text+audio"],
        }
    )
    answers.to_csv(tmp_path / "answers.csv", index=False)
    pd.DataFrame({"id": ["01", "02"], "label": ["happy", "anger"]}).to_csv(tmp_path / "truth.csv", index=False)
    return tmp_path


def test_answers_become_scores_by_set_of_modalities(files: Path) -> None:
    mapped = run("answers", files / "answers.csv", "--classes", "happy+sad+anger", "--out", files / "predictions.csv")
    assert mapped.exit_code == 0, mapped.output
    assert "4 answers, 3 with a predicted class" in mapped.output
    assert "02 [refusal]: I cannot tell." in mapped.output
    arguments = ["score", "--protocol", "classes", files / "predictions.csv", files / "truth.csv", "--out", files / "scores.csv"]
    assert run(*arguments).exit_code == 0
    scores = pd.read_csv(files / "scores.csv")
    accuracy = scores[scores["metric"] == "accuracy"].set_index("modalities")["value"]
    assert accuracy.to_dict() == {"text": 0.5, "text+audio": 0.5}
    assert run(*arguments).exit_code == 1  # the file is there
    assert run(*arguments, "--overwrite").exit_code == 0


def test_options_reach_the_protocol(files: Path) -> None:
    (files / "votes.csv").write_text("id,modality,votes_a,votes_b\n1,x,3,0\n", "utf-8")
    result = run("score", "--protocol", "humans", files / "votes.csv", "--option", "reference=x", "--replicates", "5")
    assert "against_reference" in result.output
    assert result.output.split()[:6] == ["subset", "metric", "value", "n", "low", "high"]
    assert "not defined" in result.output  # one unit has no interval


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score"], "name a protocol"),
        (["score", "--protocol", "classes", "nowhere.csv", "nowhere.csv"], "there is no file nowhere.csv"),
        (["answers", "nowhere.csv"], "say either --map FILE or --classes A+B"),
        (["answers", "nowhere.csv", "--classes", "a+b"], "there is no file nowhere.csv"),
    ],
)
def test_errors_say_what_to_do(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in result.output


def test_an_unknown_protocol_gets_a_suggestion(files: Path) -> None:
    result = run("score", "--protocol", "clases", files / "answers.csv")
    assert result.exit_code == 1
    assert "did you mean 'classes'" in result.output


MESS = [  # answer, true label, predicted class, status
    ("Happy", "happy", "happy", "one label"),
    ("**Emotion:** _sadness_ (confidence: 80%)", "sad", "sad", "one label"),
    ("Not happy at all, he is furious!!!", "anger", "anger", "one label"),
    ("Er ist nicht traurig, sondern fröhlich.", "happy", "happy", "one label"),
    ("他很愤怒。", "anger", "anger", "one label"),
    ("<think>happy? sad?</think><answer>Sad</answer>", "sad", "sad", "one label"),
    ('{"emotion": ["anger", "sad"]}', "anger", "anger", "several labels"),
    ("sad, or perhaps angry", "anger", "sad", "several labels"),  # the first one is predicted: an error
    ("She isn't happy.", "sad", "", "negated only"),
    ("As an AI, I cannot identify whether he is happy.", "happy", "", "refusal"),
    ("bewildered", "sad", "", "no known word"),
    ("N/A 🙂", "happy", "", "no known word"),
    ("", "anger", "", "empty"),
]


def test_a_file_with_every_kind_of_mess(tmp_path: Path) -> None:
    rows = [{"id": f"u{i}", "answer": answer, "model": "some-llm"} for i, (answer, *_) in enumerate(MESS)]
    rows.append({"id": "not in the truth", "answer": "happy", "model": "some-llm"})
    (tmp_path / "mess.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    truth = pd.DataFrame({"id": [row["id"] for row in rows[:-1]], "label": [true for _, true, _, _ in MESS]})
    truth.to_csv(tmp_path / "truth.csv", index=False)
    out = tmp_path / "predictions.csv"
    mapped = run("answers", tmp_path / "mess.jsonl", "--classes", "happy+sad+anger", "--out", out)
    assert mapped.exit_code == 0, mapped.output
    assert "14 answers, 9 with a predicted class" in mapped.output
    assert "refusal: 1" in mapped.output
    table = pd.read_csv(out, keep_default_na=False).head(len(MESS))
    assert list(table["predicted"]) == [predicted for _, _, predicted, _ in MESS]
    assert list(table["status"]) == [status for *_, status in MESS]
    assert table.loc[6, ["p_happy", "p_sad", "p_anger"]].tolist() == [0, 0.5, 0.5]
    result = run("score", "--protocol", "classes", out, tmp_path / "truth.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(tmp_path / "scores.csv").set_index("metric")["value"]
    assert scores["accuracy"] == pytest.approx(7 / 13, abs=1e-6)
    assert scores["answered"] == pytest.approx(8 / 13, abs=1e-6)
