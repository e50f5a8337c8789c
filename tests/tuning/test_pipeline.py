"""The tune pipeline from the command to the environment; wrong settings are refused before the first node."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from lacuna.cli import main
from lacuna.pipelines import tune

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the configuration of the project, to which a study writes."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "conf/base", folder / "conf/base")
    (folder / "conf/local").mkdir()
    (folder / "src").mkdir()
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    (folder / ".telemetry").write_text("consent: false\n")
    bootstrap_project(folder)
    return folder


def run(project: Path, names: list[str], env: str = "local", **changes: dict[str, Any]) -> None:
    parameters: dict[str, Any] = {
        "ingest": {"duet": {"preset": "tiny"}},
        "train": {"checkpoints": str(project / "checkpoints"), "training": {"epochs": 1}},
        "tune": {
            "variant": "linear",
            "trials": 3,
            "workers": 1,
            "rates": [0.0, 0.5],
            "mask_seeds": [0],
            "heartbeat": 1,
            "folder": str(project / "s"),
        },
    }
    for key, change in changes.items():
        parameters[key] = parameters[key] | change
    with KedroSession.create(project, env=env, runtime_params=parameters) as session:
        session.run(pipeline_names=names)


@pytest.fixture(scope="module")
def tuned(project: Path) -> Path:
    run(project, ["ingest", "preprocess", "tune"])
    return project


def test_a_study_writes_a_page_figures_trials_and_an_environment_that_kedro_runs(tuned: Path) -> None:
    page = (tuned / "data/08_reporting/duet/studies/linear.html").read_text("utf-8")
    assert "Study of linear on duet" in page
    assert "kedro run --env tuned_duet" in page
    for name in ("history", "importance", "slices"):
        assert (tuned / f"data/08_reporting/duet/figures/study_{name}.json").is_file()
    trials = pd.read_parquet(tuned / "data/07_model_output/duet/trials.parquet")
    assert trials["state"].tolist() == ["complete"] * 3
    best = trials.loc[trials["value"].idxmax()]
    run(tuned, ["ingest", "preprocess", "train"], env="tuned_duet", train={"seeds": [0]})
    with KedroSession.create(tuned, env="tuned_duet") as session:
        trained = {r.variant: r for r in session.load_context().catalog.load("recognizers")}
    assert set(trained) == {"prior", "linear", "linear_tuned"}
    used = trained["linear_tuned"].selection.training
    assert used["learning_rate"] == best["param_training.learning_rate"]
    assert used["batch_size"] == best["param_training.batch_size"]
    assert trained["linear"].selection.training["learning_rate"] == 0.004


def test_the_study_reads_no_test_utterance() -> None:
    inputs = tune.create_pipeline().inputs()
    assert {name for name in inputs if "corpus" in name} == {"corpus@development"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variant": "linearr"}, "tune.variant: 'linearr' is neither a variant nor a registered model"),
        ({"variant": "prior"}, "model 'prior' has nothing to search"),
        ({"trails": 3}, "trails"),
        ({"rates": [0.5, 0.1]}, "two or more rising numbers"),
        ({"space": {"training": {"learning_rate": {"low": 1, "high": 0.1}}}}, "space.training.learning_rate: a span needs"),
        ({"space": {"settings": {"hidden": 3}}}, "no setting 'hidden'"),
        ({"name": "../x"}, "study name '../x' cannot be used"),
        ({"pattern": "rmn"}, "rmn"),
    ],
)
def test_a_wrong_setting_stops_the_study_before_its_first_node(tuned: Path, wrong: dict[str, Any], message: str) -> None:
    before = sorted(path.name for path in (tuned / "s").iterdir())
    with pytest.raises(Exception, match=message):
        run(tuned, ["tune"], tune=wrong)
    assert sorted(path.name for path in (tuned / "s").iterdir()) == before


def test_the_command_line_shows_the_state_of_a_study(tuned: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["study", str(tuned / "s/linear.db")])
    assert done.exit_code == 0, done.output
    assert "study: linear\ntrials: 3 complete, 0 pruned, 0 fail, 0 running, 0 waiting\nbest: trial " in done.output
    assert "learning_rate: " in done.output
    missing = CliRunner().invoke(main, ["study", str(tmp_path / "no.db")])
    assert missing.exit_code == 1
    assert "there is no study at" in missing.output
    assert not (tmp_path / "no.db").exists()
    assert "holds no study x" in CliRunner().invoke(main, ["study", str(tuned / "s/linear.db"), "--name", "x"]).output
