"""``lacuna score`` and ``lacuna answers`` on files."""

from __future__ import annotations

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
