"""``lacuna train | evaluate | report | predict | runs`` on paths, without a Kedro project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lacuna.api import Model
from lacuna.atomic import write_bytes, write_json
from lacuna.cli import main
from lacuna.corpus import open_corpus
from lacuna.errors import DataError
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes, sweeps_to_bytes
from lacuna.runs import compare_runs, sweeps_of_run

TRAIN = ["train", "duet", "--preset", "tiny", "--epochs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two runs were trained, and the first was evaluated."""
    path = tmp_path_factory.mktemp("work")
    for models in ("linear+ridge", "[linear]"):
        assert run(path, *TRAIN, "--models", models).exit_code == 0
    for name in ("duet-1", "duet-2"):
        result = run(path, "evaluate", f"runs/{name}", "--patterns", "rmm", "--rates", "0,0.5", "--mask-seeds", "0")
        assert result.exit_code == 0, result.output
    return path


def run(path: Path, *arguments: str) -> Result:
    runner = CliRunner()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        return runner.invoke(main, arguments)


def test_runs_never_replace_each_other(folder: Path) -> None:
    assert sorted(p.name for p in (folder / "runs").iterdir()) == ["duet-1", "duet-2"]
    refused = run(folder, *TRAIN, "--models", "linear", "--name", "duet-1")
    assert refused.exit_code == 1
    assert "there is a run 'duet-1'" in refused.output


def test_a_run_says_what_it_is(folder: Path) -> None:
    lines = run(folder, "runs").output.splitlines()
    assert [line.split()[0] for line in lines] == ["duet-1", "duet-2"]
    assert "linear+ridge" in lines[0]
    assert "weighted_f1" in lines[0]
    assert (folder / "runs/duet-1/report/report.html").is_file()


def test_two_runs_are_compared(folder: Path) -> None:
    result = run(folder, "runs", "compare", "duet-1", "duet-2")
    assert result.exit_code == 0, result.output
    assert "linear" in result.output
    assert "without an interval: it needs at least 10 test dialogues" in result.output  # the tiny corpus has 6
    table = compare_runs(folder / "runs/duet-1", folder / "runs/duet-2")
    assert {"linear", "oracle"} <= set(table["model"])
    same = table[table["model"] == "oracle"]  # the same answers under the same masks
    assert (same[["difference", "difference_low", "difference_high"]].fillna(0) == 0).all(axis=None)


def test_runs_on_other_utterances_are_compared_without_pairs(folder: Path, tmp_path: Path) -> None:
    second = [replace(one, fingerprint="other") for one in sweeps_of_run(folder / "runs/duet-2")]
    write_bytes(tmp_path / "other/evaluation/sweeps.safetensors", sweeps_to_bytes(second))
    table = compare_runs(folder / "runs/duet-1", tmp_path / "other")
    assert "difference" in table
    assert "difference_low" not in table


def test_sweeps_come_back_as_they_were(folder: Path) -> None:
    sweeps = sweeps_of_run(folder / "runs/duet-1")
    back = sweeps_from_bytes(sweeps_to_bytes(sweeps), "x")
    assert [s.conditions for s in back] == [s.conditions for s in sweeps]
    assert all((a.counts == b.counts).all() and a.target == b.target for a, b in zip(sweeps, back, strict=True))
    with pytest.raises(DataError, match="stored sweeps cannot be read"):
        sweeps_from_bytes(b"damaged", "x")


def test_runs_of_kedro_are_listed_inside_a_project(tmp_path: Path) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    settings = {"ingest": {"name": "mosi", "path": "x"}, "train": {"models": ["prior", "mlp"], "seeds": [0]}}
    record = {"settings": settings, "created": "2026-01-02T03:04:05+00:00", "command": "kedro run", "headline": "accuracy 0.7"}
    write_json(tmp_path / "data/02_intermediate/mosi/run.json", record)
    inside = tmp_path / "notebooks"
    inside.mkdir()
    output = run(inside, "runs").output
    assert output.split() == ["mosi", "2026-01-02T03:04", "mosi", "prior+mlp", "accuracy", "0.7"]


def test_predictions_tell_what_they_rest_on(folder: Path) -> None:
    result = run(folder, "predict", "runs/duet-1", "runs/duet-1/corpus", "--out", "notes.csv", "--variant", "ridge")
    assert "confidence is not calibrated" in result.output
    table = pd.read_csv(folder / "notes.csv", keep_default_na=False)
    assert not table["calibrated"].any()
    assert {"absent", "recovered", "nothing_observed"} <= set(table.columns)


def test_predictions_go_where_they_are_told_and_replace_nothing(folder: Path) -> None:
    arguments = ["predict", "runs/duet-1", "runs/duet-1/corpus", "--out", "answers.csv", "--variant", "linear"]
    assert run(folder, *arguments).exit_code == 0
    table = pd.read_csv(folder / "answers.csv")
    assert set(table["model"]) == {"linear"}
    again = run(folder, *arguments)
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_the_report_can_be_written_again(folder: Path) -> None:
    assert run(folder, "report", "runs/duet-1", "--out", "page.html").exit_code == 0
    assert (folder / "page.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "there is no file or folder nowhere"),
        (["train", "duet", "--models", "lineer"], "unknown model 'lineer'"),
        (["train", "duet", "--preset", "tiny", "--set", "epoch=3"], "epoch"),
        (["train", "duet", "--seeds", "one"], "'one' is no whole number"),
        (["evaluate", "runs/nothing"], "there is no folder runs/nothing"),
        (["evaluate", "."], "no finished run here"),
        (["evaluate", "runs/duet-1", "--patterns", "rmmm"], "rmmm"),
        (["predict", "runs/nothing", "duet"], "there is no folder runs/nothing"),
        (["predict", ".", "duet"], "no trained recogniser"),
        (["predict", "runs/duet-1", "duet", "--variant", "mlp"], "no variant 'mlp'"),
        (["runs", "compare", "duet-1", "duet-9"], "no finished run of this name"),
    ],
)
def test_mistakes_are_told_in_one_message(folder: Path, arguments: list[str], message: str) -> None:
    result = run(folder, *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_progress_is_written_as_lines_without_a_terminal(tmp_path: Path) -> None:
    result = run(tmp_path, *TRAIN, "--models", "linear")
    assert "linear, seed 0: epoch 1 of 1, loss" in result.stderr


def test_training_says_what_the_target_is(tmp_path: Path) -> None:
    assert "target emotion: classification; train: neutral 17, joy 5" in run(tmp_path, *TRAIN, "--models", "prior").stderr


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Where the third of four trainings was interrupted, in a run without a name, and what was written."""
    path, n_fits = tmp_path_factory.mktemp("interrupted"), 0
    fit = Model.fit

    def interrupted_fit(self: Model, *args: Any, **options: Any) -> Model:
        nonlocal n_fits
        n_fits += 1
        if n_fits == 3:
            raise KeyboardInterrupt
        return fit(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "fit", interrupted_fit)
        return path, run(path, *TRAIN, "--models", "prior", "--seeds", "0+1+2+3")


def test_an_interrupted_run_says_how_it_continues(interrupted: tuple[Path, Result]) -> None:
    path, result = interrupted
    assert result.exit_code == 130
    outputs = [result.stderr, run(path, "runs").output]
    outputs += [run(path, *command).output for command in (["evaluate", "runs/duet-1"], ["predict", "runs/duet-1", "duet"])]
    assert all("the command that began it continues it, `lacuna train` with --name duet-1" in output for output in outputs)


def test_the_time_left_counts_trainings_of_this_command_only(
    interrupted: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of four trainings ended before, at once; each of the others takes an hour and a half."""
    path, _ = interrupted
    clock, fit = [0.0], Model.fit
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def slow_fit(self: Model, *args: Any, seed: int = 0, **options: Any) -> Model:
        clock[0] += 5400.0 if seed > 1 else 0.0
        return fit(self, *args, seed=seed, **options)

    monkeypatch.setattr(Model, "fit", slow_fit)
    result = run(path, *TRAIN, "--models", "prior", "--seeds", "0+1+2+3", "--name", "duet-1")
    assert result.exit_code == 0, result.output
    assert [line for line in result.stderr.splitlines() if "trainings ended" in line] == [
        "3 of 4 trainings ended, about 90 min left"
    ]


def test_a_refused_setting_leaves_no_folder(tmp_path: Path) -> None:
    assert run(tmp_path, *TRAIN, "--set", "epochz=3").exit_code == 1
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_damaged_run_is_listed_with_its_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    result = run(tmp_path, "runs")
    assert result.exit_code == 0
    assert "the run cannot be read" in result.output


def test_train_thins_the_training_data(tmp_path: Path) -> None:
    result = run(tmp_path, *TRAIN, "--models", "linear", "--thin", "rmm:0.5")
    assert result.exit_code == 0, result.output
    corpus = open_corpus(tmp_path / "runs/duet-1/corpus")
    assert all(by_split["train"] and not by_split["test"] for by_split in corpus.absences().values())
    assert "PATTERN:RATE" in run(tmp_path, *TRAIN, "--thin", "rmm").output
