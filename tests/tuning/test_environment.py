"""The best settings of a study become an environment that Kedro reads, in a folder that git ignores."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kedro.io.core import DatasetError

from lacuna.datasets.environment import EnvironmentDataset, TunedEnvironment
from lacuna.errors import DataError
from lacuna.models import configure
from lacuna.pipelines.parameters import Ingest, Models, Train, check_variants
from lacuna.settings import CONFIG_LOADER_ARGS, ConfigLoader

ROOT = Path(__file__).parents[2]
TUNED = TunedEnvironment(
    variant="context_gru_tuned",
    of="context_gru",
    model="context_gru",
    settings={"hidden": 96, "dropout": 0.1234567890123},
    training={"learning_rate": 1.5e-05, "batch_size": 64},
    compared=("prior",),
    seeds=(0, 1),
    checkpoints="data/06_models/mosi/checkpoints",
    source=None,
    origin="study context_gru, trial 17 of 40, 0.9512 on validation (the variant's own settings: 0.9440)",
)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name in ("base", "mosi", "local"):
        shutil.copytree(ROOT / "conf" / name, tmp_path / "conf" / name)
    return tmp_path / "conf"


def parameters(conf: Path, env: str) -> dict[str, Any]:
    """As ``kedro run --env`` reads them."""
    loader = ConfigLoader(conf, env, **CONFIG_LOADER_ARGS)
    return {**loader["parameters"], "run": loader["globals"]["run"]}


def save(conf: Path, run: str, tuned: TunedEnvironment = TUNED) -> EnvironmentDataset:
    dataset = EnvironmentDataset(filepath=str(conf / f"tuned_{run}"))
    dataset.save(tuned)
    return dataset


def test_kedro_reads_the_corpus_of_the_study_and_its_best_settings(conf: Path) -> None:
    dataset = save(conf, "mosi")
    written, own = parameters(conf, "tuned_mosi"), parameters(conf, "mosi")
    assert written["run"] == "tuned_mosi"
    assert Ingest(**written["ingest"]) == Ingest(**own["ingest"])
    train, models = Train(**written["train"]), Models(**written["models"])
    check_variants(train, models)
    assert train.models == ["prior", "context_gru", "context_gru_tuned"]
    assert train.seeds == [0, 1]
    assert train.budget is None  # the tuned settings are not searched again
    assert train.checkpoints == Path("data/06_models/mosi/checkpoints")  # nothing that was trained there is trained again
    assert train.training == Train(**own["train"]).training
    tuned = models.of("context_gru_tuned")
    assert configure(tuned.model, **tuned.settings) == configure("context_gru", hidden=96, dropout=0.1234567890123)
    assert train.config(tuned).learning_rate == 1.5e-05  # a number, not text
    assert models.of("cider").settings == {"window": 3}  # what the environment said stays
    assert dataset.entry.endswith("(kedro run --env tuned_mosi)")
    text = (conf / "tuned_mosi/parameters.yml").read_text("utf-8")
    assert "# context_gru_tuned: study context_gru, trial 17 of 40, 0.9512 on validation" in text
    assert "${data_root:}" in text  # no place of this machine


def test_without_an_environment_of_the_runs_name_it_is_local(conf: Path) -> None:
    (conf / "local/parameters_train.yml").write_text("train: {training: {epochs: 7}}\n", "utf-8")
    save(conf, "duet", replace(TUNED, checkpoints="data/06_models/duet/checkpoints"))
    written = parameters(conf, "tuned_duet")
    assert written["train"]["training"]["epochs"] == 7
    assert written["ingest"] == parameters(conf, "local")["ingest"]
    with pytest.raises((DataError, DatasetError), match=r"tune\.environment 'mosii' is not a folder"):
        save(conf, "duet", replace(TUNED, source="mosii"))


def test_studies_of_two_variants_share_the_environment(conf: Path) -> None:
    save(conf, "mosi")
    save(
        conf,
        "mosi",
        replace(TUNED, variant="mlp_tuned", of="mlp", model="mlp", settings={"hidden": 99}, origin="study mlp, trial 3"),
    )
    save(conf, "mosi", replace(TUNED, settings={"hidden": 97}, origin="a later study"))
    written = parameters(conf, "tuned_mosi")
    assert written["train"]["models"] == ["prior", "context_gru", "context_gru_tuned", "mlp", "mlp_tuned"]
    assert written["models"]["mlp_tuned"]["settings"] == {"hidden": 99}
    assert written["models"]["context_gru_tuned"]["settings"] == {"hidden": 97}
    text = (conf / "tuned_mosi/parameters.yml").read_text("utf-8")
    assert "# mlp_tuned: study mlp, trial 3\n" in text
    assert "# context_gru_tuned: a later study\n" in text


def test_a_folder_that_no_study_wrote_is_left_alone(conf: Path) -> None:
    path = conf / "tuned_mosi" / "parameters.yml"
    path.parent.mkdir()
    path.write_text("train: {}\n", "utf-8")
    with pytest.raises((DataError, DatasetError), match=r"tuned_mosi/parameters.yml was not written by the tune pipeline"):
        save(conf, "mosi")
    assert path.read_text("utf-8") == "train: {}\n"


def test_git_ignores_the_environment() -> None:
    (entry,) = [line for line in (ROOT / "conf/base/catalog.yml").read_text("utf-8").splitlines() if "filepath: conf/" in line]
    assert "filepath: conf/tuned_${globals:run}" in entry
    assert "conf/tuned_*/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_a_variant_with_a_hyphen_keeps_its_origin(conf: Path) -> None:
    save(conf, "mosi", replace(TUNED, variant="my-gru_tuned", of="my-gru", origin="study my-gru, trial 3"))
    save(conf, "mosi")
    assert "# my-gru_tuned: study my-gru, trial 3\n" in (conf / "tuned_mosi" / "parameters.yml").read_text("utf-8")
