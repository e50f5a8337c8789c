"""Prompt files of a corpus, answers to them, and the outside system beside the models of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lacuna.cli import main
from lacuna.corpus import Corpus, open_corpus
from lacuna.errors import ConfigError
from lacuna.metrics.protocols.prompts import prompts_of
from lacuna.synthetic.duet import generate, preset
from standin import StandIn
from standin import generate as stand_in


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def duet() -> Corpus:
    return generate(preset("tiny"))


def test_a_prompt_shows_one_set_of_modalities(duet: Corpus) -> None:
    prompts = prompts_of(duet, [("text",), ("text", "audio"), ("vision",)], media="clips/{dialogue}/{id}.mp4")
    assert {name: len(rows) for name, rows in prompts.items()} == dict.fromkeys(("text", "text+audio", "vision"), len(duet))
    text, both, face = (rows[0] for rows in prompts.values())
    item, dialogue = duet.ids[0], duet.utterances.dialogue_names[0].as_py()
    assert text["transcript"] == both["transcript"] == duet.transcripts[0]
    assert "media" not in text
    assert "transcript" not in face
    assert both["media"] == face["media"] == f"clips/{dialogue}/{item}.mp4"
    assert (both["use"], face["use"]) == ("sound", "picture")
    assert text["allowed"] == list(duet.target().classes)
    assert "You see the recording, without its sound." in face["instruction"]
    assert "label" not in json.dumps(prompts)  # the answer is not in the question


def test_an_utterance_is_asked_with_the_modalities_that_it_has() -> None:
    corpus = stand_in(StandIn(dialogues=6, turns=4, absent=0.4))
    prompts = prompts_of(corpus, [("audio", "vision")])
    audio, vision = (corpus.frames[m].any_observed for m in ("audio", "vision"))
    assert {row["id"] for row in prompts["audio"]} == {
        i for i, a, v in zip(corpus.ids, audio, vision, strict=True) if a and not v
    }
    assert {row["id"] for row in prompts["audio+vision"]} == {
        i for i, a, v in zip(corpus.ids, audio, vision, strict=True) if a and v
    }


@pytest.mark.parametrize(
    ("corpus", "subsets", "message"),
    [
        (stand_in(StandIn(dialogues=6)), [("smell",)], "no modality 'smell'"),
        (stand_in(StandIn(dialogues=6)), [("text",)], "no transcripts"),
        (stand_in(StandIn(dialogues=6, dims=(("pulse", 2),), signal=(0.5,))), [("pulse",)], "cannot be shown"),
        (stand_in(StandIn(dialogues=6), "regression"), None, "has no classes"),
    ],
)
def test_what_cannot_be_asked(corpus: Corpus, subsets: list[tuple[str, ...]] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prompts_of(corpus, subsets)


@pytest.mark.slow
def test_from_prompts_to_the_leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("train", "duet", "--preset", "tiny", "--models", "prior")
    listed = run("prompts", "runs/duet-1/corpus", "--subsets", "text,audio,text+audio", "--media", "clips/{id}.wav").output
    assert "text+audio.jsonl" in listed
    test = open_corpus(tmp_path / "runs/duet-1/corpus").only("test")
    classes, codes = test.target().classes, test.utterances.labels[test.target().name]
    truth = dict(zip(test.ids, (classes[code] for code in codes), strict=True))
    for path in Path("prompts").glob("*.jsonl"):  # what a person does elsewhere: add an answer to each line
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert {row["id"] for row in rows} == set(test.ids)
        for row in rows:
            knows = row["modalities"] == "text+audio"
            row["answer"] = f"I would say: {truth[row['id']].upper()}." if knows else "As an AI, I cannot tell."
            row["model"] = "some-llm"
        path.with_suffix(".answers.json").write_text(json.dumps(rows), "utf-8")
    mapped = run("answers", *sorted(Path("prompts").glob("*.answers.json")), "--map", "prompts/map.toml").output
    assert f"{3 * len(test)} answers, {len(test)} with a predicted class" in mapped
    predictions = pd.read_csv("predictions.csv")
    assert set(predictions["modalities"]) == {"text", "audio", "text+audio"}
    result = run("evaluate", "runs/duet-1", "--patterns", "fixed", "--answers", "predictions.csv").output
    summary = pd.read_parquet("runs/duet-1/evaluation/summary.parquet")
    accuracy = summary[(summary["model"] == "some-llm") & (summary["metric"] == "accuracy")].set_index("setting")["mean"]
    assert accuracy.to_dict() == {"text": 0.0, "audio": 0.0, "audio+text": 1.0}
    for name in ("report/report.html", "leaderboard/index.html"):
        assert "some-llm" in Path("runs/duet-1", name).read_text("utf-8")
    assert "leaderboard:" in result
    run("report", "runs/duet-1", "--out", "again.html")
    assert "some-llm" in Path("again.html").read_text("utf-8")
