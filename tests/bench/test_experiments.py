"""Experiments: one flat file a study, run by one command that writes its page when all of it is finished."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lacuna.bench import run_job
from lacuna.errors import ConfigError
from lacuna.models.base import Large, model_class
from lacuna.pipelines import bench_command
from lacuna.pipelines.bench_command import run
from lacuna.pipelines.environments import ingest_corpus
from lacuna.pipelines.experiments import CONFIG, cells_of, environments_of, finished, read_study

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "experiments").glob(f"*/{CONFIG}"))


def write(project: Path, content: dict[str, Any], name: str = "wide") -> Path:
    folder = project / "experiments" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


@pytest.mark.parametrize("config", STUDIES, ids=lambda path: path.parent.name)
def test_every_committed_experiment_is_valid(config: Path) -> None:
    study = read_study(config)
    for environment in environments_of(study, ROOT).values():
        cells = cells_of(environment, 100)
        assert len(cells) == len(environment.train.models) * len(environment.train.seeds)
        assert {cell.variant for cell in cells} >= set(study.experiment.models or ())


def test_an_experiment_says_only_what_differs_from_its_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"prior": None, "wide": {"model": "mlp", "settings": {"hidden": 7}, "training": {"epochs": 2}}}
    path = write(project, {"corpus": "tiny", "models": models, "training": {"batch_size": 9}, "rates": [0.0, 0.4]})
    (environment,) = environments_of(read_study(path), project).values()
    assert (environment.train.models, environment.train.seeds) == (["prior", "wide"], [0, 1])
    assert environment.evaluate.rates == [0.0, 0.4]
    assert environment.evaluate.patterns == ["rmm"]
    prior, *_, wide = cells_of(environment, 100)
    assert (prior.training.epochs, prior.training.batch_size) == (3, 9)
    assert (wide.training.epochs, wide.settings) == (2, {"hidden": 7})
    monkeypatch.setattr(model_class("mlp"), "large", Large(50, {"hidden": 9, "dropout": 0.1}, {"ema": 0.5}))
    large = cells_of(environment, 50)[-1]
    assert (large.settings, large.training.ema, large.training.epochs) == ({"hidden": 7, "dropout": 0.1}, 0.5, 2)
    assert cells_of(environment, 49)[-1] == wide
    assert environment.corpus == project / "data/02_intermediate/tiny/corpus"  # shared by all studies of a corpus


def test_a_thinned_corpus_lies_beside_the_complete_one(project: Path) -> None:
    path = write(project, {"corpus": "tiny", "thin": {"pattern": "rmm", "rate": 0.5}, "models": ["linear"], "seeds": [0]})
    (environment,) = environments_of(read_study(path), project).values()
    assert environment.corpus == project / "data/02_intermediate/tiny/corpus-thin-rmm-0.5-0"
    facts = ingest_corpus(environment, project)
    assert facts["notes"][-1].startswith("training data were thinned")
    assert all(by_split["train"] and not by_split["test"] for by_split in facts["absences"].values())
    assert not (project / "data/02_intermediate/tiny/corpus").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"corpus": "tiny", "model": ["mlp"]}, "there is no setting 'model'"),
        ({"models": ["mlp"]}, "corpus is missing"),
        ({"corpus": "tiny", "models": ["mlp", "mlp"]}, "'mlp' is named twice"),
        ({"corpus": ["tiny", "duet"], "pipeline": "ood"}, "pipeline 'ood' runs on one corpus; found tiny, duet"),
        ({"corpus": "tiny", "thin": {"pattern": "rm"}}, "rm"),
        ({"corpus": "tiny", "thin": {"rate": 1.0}}, "thin.rate"),
        ({"corpus": "mars"}, "there is no environment 'mars' in conf/"),
        ({"corpus": "tiny", "models": {"wide": {"model": "mlp", "settings": {"hiden": 3}}}}, "hiden"),
    ],
)
def test_a_wrong_experiment_says_what_is_wrong(project: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        environments_of(read_study(write(project, content)), project)


def test_the_page_is_written_when_the_whole_study_is_finished(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(bench_command, "local", lambda workers: lambda jobs: map(run_job, jobs))
    page = write(project, {"corpus": "tiny", "models": ["prior", "linear"], "seeds": [0]}) / "results.md"
    lines: list[str] = []
    assert run(("experiments/wide",), lines.append, models="prior")
    assert not page.exists()  # only a part of the study
    plan = next(line for line in lines if "cells are not finished" in line)
    assert re.match(r"2 of 2 cells are not finished: 1 trainings, [1-9]\d* scored masks; ", plan), plan  # one is the ceiling
    assert run(("experiments/wide",), lines.append)
    text = page.read_text("utf-8")
    assert "lacuna bench experiments/wide\n" in text
    assert "| linear |" in text
    gathered, corpus = finished(Path("experiments/wide"), project)
    assert [r.variant for r in gathered.recognizers] == ["prior", "linear"]
    assert (corpus / "corpus.json").is_file()


def test_a_budget_gives_every_model_its_trials_once_for_all_seeds(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(bench_command, "local", lambda workers: lambda jobs: map(run_job, jobs))
    content = {"corpus": "tiny", "models": ["prior", "linear"], "seeds": [0, 1], "training": {"epochs": 1}, "budget": 2}
    page = write(project, content) / "results.md"
    assert run(("experiments/wide",), lambda _: None)
    text = page.read_text("utf-8")
    assert "- Trials on validation: 2 for each model but prior 1 (1 = its own settings alone)\n" in text
    databases = list((project / "data/06_models/tiny/studies").glob("*.db"))
    assert [path.name.partition("-")[0] for path in databases] == ["linear"]  # one study for both seeds
    gathered, _ = finished(Path("experiments/wide"), project)
    linear = [r for r in gathered.recognizers if r.variant == "linear"]
    assert [r.selection.trials for r in linear] == [2, 2]
    assert linear[0].selection.training == linear[1].selection.training
    assert "| linear |" in (project / "data/09_bench/leaderboard/wide/leaderboard.md").read_text("utf-8")


def test_a_study_of_several_corpora_has_a_leaderboard_as_its_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(bench_command, "local", lambda workers: lambda jobs: map(run_job, jobs))
    write_other(project)
    folder = write(project, {"corpus": ["tiny", "other"], "models": ["prior", "linear"], "seeds": [0]}, "both")
    assert run(("experiments/both",), lambda _: None)
    assert (folder / "results.md").read_text("utf-8").startswith("# Leaderboard: both")
    assert (project / "data/09_bench/reports/both/other/report.html").is_file()


def test_the_page_of_a_study_says_that_training_data_were_thinned(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(bench_command, "local", lambda workers: lambda jobs: map(run_job, jobs))
    for corpora in (["tiny"], ["tiny", "other"]):
        write_other(project)
        content = {"corpus": corpora, "thin": {"rate": 0.4}, "models": ["prior", "linear"], "seeds": [0]}
        folder = write(project, content, f"thin{len(corpora)}")
        assert run((f"experiments/thin{len(corpora)}",), lambda _: None)
        assert "raining data were thinned: rmm rate=0.4 seed=0" in (folder / "results.md").read_text("utf-8")


def write_other(project: Path) -> None:
    """Add the environment ``other``, another world of the generated corpus."""
    other = yaml.safe_load((project / "conf/tiny/parameters.yml").read_text())
    other["ingest"]["duet"]["changes"] = {"seed": 5}
    (project / "conf/other").mkdir(exist_ok=True)
    (project / "conf/other/parameters.yml").write_text(yaml.safe_dump(other))


def test_a_study_on_validation_alone_never_scores_on_test(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "src").mkdir()
    (project / ".telemetry").write_text("consent: false\n")
    models = {"mlp": None, "wide": {"model": "mlp", "settings": {"hidden": 7}}}
    folder = write(project, {"corpus": "tiny", "pipeline": "train", "models": models, "seeds": [0]})
    assert run(("experiments/wide",), lambda _: None)
    text = (folder / "results.md").read_text("utf-8")
    assert "| wide (mlp) | hidden 7 | 1 |" in text
    assert (project / "data/06_models/wide/recognizers").is_dir()
    assert not (project / "data/07_model_output/wide/all.parquet").exists()


def test_a_study_of_shifted_tests_writes_their_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "src").mkdir()
    (project / ".telemetry").write_text("consent: false\n")
    shares = {"unit": "utterance", "size": 12, "budget": 0.3, "steps": 300, "expected": 1.0, "random_splits": 2}
    ood = {"repartition": shares, "corruptions": [], "generated": False, "least_group": 3}
    content = {"corpus": "tiny", "pipeline": "ood", "models": ["prior", "linear"], "seeds": [0], "rates": [0.0, 0.5], "ood": ood}
    folder = write(project, content, "shifted")
    assert run(("experiments/shifted",), lambda _: None)
    assert (folder / "results.md").read_text("utf-8").startswith("# Out of distribution")
    scores = pd.read_parquet(project / "data/07_model_output/shifted/ood_summary.parquet")
    assert set(scores["rate"]) == {0.0, 0.5}
    assert set(scores["test"]) == {"iid", "ood"}


def test_bench_does_not_replace_the_corpus_of_another_run(project: Path) -> None:
    from lacuna.pipelines.environments import ingest_corpus, read_environment
    from lacuna.runs import list_project_runs

    ingest_corpus(read_environment(project, "tiny"), project)
    assert [(run.name, run.corpus, run.models) for run in list_project_runs(project)] == [("tiny", "duet", ())]
    other = read_environment(project, "tiny", {"ingest": {"duet": {"changes": {"seed": 1}}}})
    with pytest.raises(ConfigError, match=r"run 'tiny' has results of other(.|\n)*do: kedro run --env tiny"):
        ingest_corpus(other, project)
