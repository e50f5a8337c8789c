"""Versions: dvc.yaml says what catalog and parameters say, and `dvc repro` repeats what depends on a change and no more."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog

from lacuna.settings import CONFIG_LOADER_ARGS, ConfigLoader

pytest.importorskip("dvc", reason="DVC is not installed: pip install -e '.[dvc]'")
ROOT = Path(__file__).parents[1]
NOT_STAGES = {"__default__", "predict", "tune", "ood"}  # docs/how-to/versions.md says why
COPIED = ("conf", "src", ".dvc/config", ".dvc/.gitignore", ".dvc/plots", "dvc.yaml", ".dvcignore", ".gitignore")
TINY = {  # small enough for a test; set where a person would set it
    "conf/base/parameters_ingest.yml": {"preset: demo": "preset: tiny"},
    "conf/base/parameters_train.yml": {
        "models: [prior, linear, mlp, knn, ridge, context_gru]": "models: [prior, mlp]",
        "seeds: [0, 1, 2]": "seeds: [0]",
        "epochs: 40": "epochs: 80\n    checkpoint_seconds: 0",
        "patience: 8": "patience: 0",
    },
    "conf/base/parameters_evaluate.yml": {
        "patterns: [rmm, fixed, outage]": "patterns: [rmm]",
        "rates: [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]": "rates: [0.0, 0.5, 1.0]",
        "mask_seeds: [0, 1, 2]": "mask_seeds: [0]",
        "replicates: 500": "replicates: 100",
    },
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project as a clean clone in a git repository of its own, with tiny settings."""
    for name in (*COPIED, "pyproject.toml", ".telemetry"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "local"))
        else:
            shutil.copy(source, target)
    for kept in ROOT.glob("data/*/.gitkeep"):
        target = tmp_path / kept.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        target.touch()
    for name, changes in TINY.items():
        for old, new in changes.items():
            change(tmp_path / name, old, new)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "a clean clone")
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{file.name}: {old}"
    file.write_text(text.replace(old, new), "utf-8")


def environment(folder: Path) -> dict[str, str]:
    paths = {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return {**os.environ, **paths, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "COLUMNS": "300", "OMP_NUM_THREADS": "1"}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path, why: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", why)


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(\S+)'", output)


@lru_cache(maxsize=16)
def configured(clone: Path, corpus: str) -> tuple[DataCatalog, dict[str, Any]]:
    """The catalog and the parameters as Kedro reads them for a command of a stage."""
    config = ConfigLoader(clone / "conf", corpus, **CONFIG_LOADER_ARGS)
    return DataCatalog.from_config(config["catalog"]), config["parameters"]


def places(datasets: set[str], catalog: DataCatalog) -> set[str]:
    """The files and folders of those that are kept."""
    return {catalog.get(name)._filepath for name in datasets if not name.startswith("param")}


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("train", "train.training.epochs=81"),
        ("ingest", "ingest.seed=1"),
        ("evaluate", "evaluate.replicates=7"),
        ("duet", "ingest.duet.changes.scenes=2"),
        ("train", "+models.mlp.settings.hidden=8"),
    ],
)
def test_any_setting_can_be_varied_where_it_stands(clone: Path, file: str, setting: str) -> None:
    path = f"conf/base/parameters_{file}.yml"
    dvc(clone, "exp", "run", "--queue", "--set-param", f"{path}:{setting}")
    name, _, value = setting.lstrip("+").partition("=")
    said: Any = yaml.safe_load(git(clone, "show", f"refs/exps/celery/stash:{path}"))
    for key in name.split("."):
        said = said[key]
    assert said == int(value)


def test_every_stage_says_what_the_catalog_and_the_parameters_say(clone: Path) -> None:
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    bootstrap_project(clone)
    change(clone / "dvc.yaml", "# mosi: conf", "mosi: conf")
    with Repo(str(clone)) as repo:
        stages = repo.index.stages
    assert {stage.name.partition("@")[0] for stage in stages} == {*pipelines} - NOT_STAGES
    assert len(stages) == 2 * 8
    for stage in stages:
        words = shlex.split(stage.cmd)
        options = dict(zip(words[2::2], words[3::2], strict=True))
        name, corpus = options["--pipelines"], options["--env"]
        assert words[:2] == ["kedro", "run"]
        assert stage.name == f"{name}@{corpus}"
        catalog, parameters = configured(clone, corpus)
        pipeline = pipelines[name]

        outs = {out.def_path for out in stage.outs}
        written = places(pipeline.all_outputs(), catalog)
        assert outs == {path for path in written if not any(path.startswith(f"{out}/") for out in outs)}, stage.name

        read = places(pipeline.inputs(), catalog) | ({"data/01_raw"} if name in ("features", "ingest") else set())
        deps = {dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)}
        assert {dep for dep in deps if dep.startswith("data/")} == read, stage.name
        others = {dep for dep in deps if not dep.startswith("data/")}
        assert f"src/lacuna/pipelines/{name}" in others, stage.name
        assert [dep for dep in others if not (clone / dep).exists()] == [], stage.name
        if name in ("train", "recover", "evaluate"):  # they write or read recognisers, with the code of this package
            assert "src/lacuna/training" in others, stage.name
        if name in ("features", "ingest", "mask", "train", "recover", "evaluate"):
            own = {"duet": "conf/base/parameters_duet.yml", "mosi": "conf/mosi/parameters.yml"}
            assert own[corpus] in others, stage.name

        keys = set()
        for path, key in ((dep.def_path, key) for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params):
            assert key in yaml.safe_load((clone / path).read_text("utf-8")), f"{stage.name}: {path}:{key}"
            keys.add(key)
        used = {key.removeprefix("params:") for key in pipeline.inputs() if key.startswith("params:")}
        assert keys == used, stage.name
        assert used <= set(parameters), stage.name


def test_each_corpus_is_one_short_environment() -> None:
    for folder in (path for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name not in ("base", "local")):
        assert [path.name for path in folder.iterdir()] == ["parameters.yml"], folder.name
        assert yaml.safe_load((folder / "parameters.yml").read_text("utf-8"))["ingest"]["name"] == folder.name


def test_a_run_is_called_as_its_environment_or_as_the_command_line_says() -> None:
    names = {(None, None): "duet", ("base", None): "duet", ("duet", None): "duet", ("mosi", None): "mosi", ("mosi", "own"): "own"}
    for (environment, run), name in names.items():
        loader = ConfigLoader(ROOT / "conf", environment, {"run": run} if run else None, **CONFIG_LOADER_ARGS)
        assert loader["catalog"]["report"]["filepath"] == f"data/08_reporting/{name}"
        assert loader["parameters"]["train"]["checkpoints"] == f"data/06_models/{name}/checkpoints"


def test_runs_do_not_dirty_git_and_the_numbers_of_dvc_can_be_added(clone: Path) -> None:
    with open(clone / "dvc.yaml") as file:
        stages = yaml.safe_load(file)["stages"]
    small = [*stages["evaluate"]["do"]["metrics"], *stages["evaluate"]["do"]["plots"]]
    paths = {next(iter(entry)).replace("${key}", "duet"): next(iter(entry.values())) for entry in small}
    assert all(options["cache"] is False for options in paths.values())
    for path in [*paths, "data/07_model_output/duet/all.parquet", "data/07_model_output/duet/predictions.csv"]:
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).touch()
    assert not git(clone, "ls-files", "--others", "--exclude-standard").split()
    git(clone, "add", "--force", *paths)
    assert set(git(clone, "diff", "--cached", "--name-only").split()) == set(paths)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes on a busy machine
def test_repro_from_a_clean_clone_and_then_only_what_depends_on_a_change(clone: Path) -> None:
    import psutil

    # Killed in the middle of training, without a chance to clean up ...
    command = [sys.executable, "-m", "dvc", "repro"]
    with psutil.Popen(command, cwd=clone, env=environment(clone), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while not list(clone.glob("data/06_models/duet/checkpoints/mlp/*/last.json")):
            assert process.poll() is None, process.stdout.read().decode()
            time.sleep(0.01)
        # DVC first: it writes its lock when a child ends; the last test of this file kills it in that moment.
        for each in [process, *process.children(recursive=True)]:
            each.send_signal(signal.SIGKILL)
    assert not list(clone.glob("data/06_models/duet/checkpoints/mlp/*/result.json"))
    # ... it goes on from its checkpoint: the epochs before are not trained again.
    output = dvc(clone, "repro")
    assert {*ran(output)} - {"mask@duet"} == {"train@duet", "recover@duet", "evaluate@duet", "report@duet"}
    assert "mlp, seed 0: epoch 80 of 80" in output
    assert "mlp, seed 0: epoch 1 of 80" not in output
    history = pd.read_parquet(clone / "data/07_model_output/duet/history.parquet")
    assert history.loc[history["model"] == "mlp", "epoch"].tolist() == list(range(1, 81))
    assert (clone / "data/08_reporting/duet/report.html").is_file()

    again = dvc(clone, "repro")
    assert ran(again) == []
    assert "Data and pipelines are up to date." in again
    small = [f"data/07_model_output/duet/{name}" for name in ("metrics.json", "robustness.csv", "learning.csv")]
    git(clone, "add", "--force", *small)  # docs/how-to/versions.md
    commit(clone, "the first results")
    assert "data/07_model_output/duet/metrics.json" in git(clone, "ls-files")

    # Another model: those beside it are not trained again.
    models = "conf/base/parameters_train.yml:train.models=[prior,linear]"
    tried = dvc(clone, "exp", "run", "evaluate@duet", "--name", "straight", "--set-param", models)
    assert ran(tried) == ["train@duet", "evaluate@duet"]
    assert "prior, seed 0: epoch" not in tried
    differs = json.loads(dvc(clone, "metrics", "diff", "--json"))["data/07_model_output/duet/metrics.json"]
    assert differs["chosen.model"] == {"old": "mlp", "new": "linear"}
    assert differs["chosen.rmm"]["diff"] == pytest.approx(differs["chosen.rmm"]["new"] - differs["chosen.rmm"]["old"])
    assert differs["weighted_f1.linear.rmm"]["new"] == differs["chosen.rmm"]["new"]
    assert not any(name.startswith("weighted_f1.prior") for name in differs)  # the majority class is as it was
    differs = json.loads(dvc(clone, "params", "diff", "--json"))
    models = {"old": "['prior', 'mlp']", "new": "['prior', 'linear']"}
    assert differs == {"conf/base/parameters_train.yml": {"train.models": models}}
    shown = dvc(clone, "exp", "show", "--csv")
    assert "straight" in shown
    assert "chosen.rmm" in shown

    # A setting of evaluation: nothing is trained. The experiment left out `recover`, so it runs now for the new recognisers.
    change(clone / "conf/base/parameters_evaluate.yml", "replicates: 100", "replicates: 110")
    assert {*ran(dvc(clone, "repro"))} == {"mask@duet", "recover@duet", "evaluate@duet", "report@duet"}
    differs = json.loads(dvc(clone, "params", "diff", "--json"))
    assert differs["conf/base/parameters_evaluate.yml"] == {"evaluate.replicates": {"old": 100, "new": 110, "diff": 10}}

    dvc(clone, "plots", "diff", "HEAD")
    page = (clone / "dvc_plots/index.html").read_text("utf-8")
    dvc(clone, "plots", "show")
    for told in ("missing rate", "loss on validation", '"model": "oracle"', '"model": "linear"', '"model": "mlp"'):
        assert told in page, told

    # What else would be repeated, without doing it.
    change(clone / "conf/base/parameters_train.yml", "learning_rate: 0.004", "learning_rate: 0.005")
    assert {*json.loads(dvc(clone, "status", "--json"))} == {"train@duet"}
    change(clone / "conf/base/parameters_train.yml", "learning_rate: 0.005", "learning_rate: 0.004")
    change(clone / "conf/base/parameters_ingest.yml", "preset: tiny", "preset: demo")
    assert {*json.loads(dvc(clone, "status", "--json"))} == {"ingest@duet"}


def test_a_corpus_of_ones_own_goes_to_any_remote_and_comes_back(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = clone / "data/01_raw/mine"
    own.mkdir()
    (own / "utterances.csv").write_text("id,dialogue,turn\na,d,0\n", "utf-8")
    dvc(clone, "add", "data/01_raw/mine")
    dvc(clone, "remote", "add", "--default", "shelf", str(tmp_path_factory.mktemp("shelf")))
    dvc(clone, "push", "data/01_raw/mine.dvc")
    commit(clone, "my corpus")
    assert "data/01_raw/mine.dvc" in git(clone, "ls-files")
    assert "data/01_raw/mine/utterances.csv" not in git(clone, "ls-files")

    elsewhere = tmp_path_factory.mktemp("elsewhere") / "clone"
    git(clone, "clone", "--quiet", str(clone), str(elsewhere))
    assert not (elsewhere / "data/01_raw/mine").exists()
    dvc(elsewhere, "pull", "data/01_raw/mine.dvc")
    assert (elsewhere / "data/01_raw/mine/utterances.csv").read_text("utf-8") == "id,dialogue,turn\na,d,0\n"
    assert "ingest@duet" in dvc(elsewhere, "status", "--json")


KILL = """
import json, os, signal, sys
import dvc.rwlock
from dvc.cli import main
class Killing(dict):
    def __getattr__(self, name):
        return getattr(json, name)
    def dump(self, *arguments):
        os.kill(os.getpid(), signal.SIGKILL)
dvc.rwlock.json = Killing()
sys.exit(main(["repro"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_lock_that_a_kill_has_emptied_is_repaired_as_the_documentation_says(tmp_path: Path) -> None:
    """DVC opens its lock file, which empties it, and then writes it; the kill comes in between."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n", "utf-8")
    (tmp_path / "dvc.yaml").write_text("stages:\n  features:\n    cmd: echo x > out.txt\n    outs:\n      - out.txt\n", "utf-8")

    def repro(*program: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *program]
        return subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)

    assert repro("-c", KILL).returncode == -signal.SIGKILL
    failed = repro("-m", "dvc", "repro")
    assert failed.returncode == 255
    assert "failed to reproduce 'features': Unable to read RWLock-file" in failed.stderr
    named = re.search(r"`(\.dvc/tmp/rwlock)`\s+is\s+corrupted", (ROOT / "docs/how-to/versions.md").read_text("utf-8"))
    assert named is not None
    (tmp_path / named[1]).unlink()
    assert repro("-m", "dvc", "repro").returncode == 0
    assert (tmp_path / "out.txt").read_text("utf-8") == "x\n"
