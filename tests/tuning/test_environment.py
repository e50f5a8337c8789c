"""What a study found becomes an environment that Kedro reads; what a person wrote is never overwritten."""

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
from lacuna.pipelines.parameters import Ingest, Models, Train, check_variants, training_config
from lacuna.settings import CONFIG_LOADER_ARGS, ConfigLoader

ROOT = Path(__file__).parents[2]
FOUND = TunedEnvironment(
    variant="context_gru_tuned",
    of="context_gru",
    model="context_gru",
    settings={"hidden": 96, "dropout": 0.1234567890123},
    training={"learning_rate": 1.5e-05, "batch_size": 64},
    compared=("prior",),
    seeds=(0, 1),
    checkpoints="data/06_models/mosi/checkpoints",
    source=None,
    told="study context_gru, trial 17 of 40, 0.9512 on validation (the variant's own settings: 0.9440)",
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


def save(conf: Path, run: str, found: TunedEnvironment = FOUND) -> EnvironmentDataset:
    dataset = EnvironmentDataset(filepath=str(conf / f"{run}_tuned"))
    dataset.save(found)
    return dataset


def test_kedro_reads_back_the_corpus_of_the_study_and_the_settings_it_found(conf: Path) -> None:
    dataset = save(conf, "mosi")
    told, own = parameters(conf, "mosi_tuned"), parameters(conf, "mosi")
    assert told["run"] == "mosi_tuned"
    assert Ingest(**told["ingest"]) == Ingest(**own["ingest"])
    train, models = Train(**told["train"]), Models(**told["models"])
    check_variants(train, models)
    assert train.models == ["prior", "context_gru", "context_gru_tuned"]
    assert train.seeds == [0, 1]
    assert train.checkpoints == Path("data/06_models/mosi/checkpoints")  # nothing that was trained there is trained again
    assert train.training == Train(**own["train"]).training
    tuned = models.of("context_gru_tuned")
    assert configure(tuned.model, **tuned.settings) == configure("context_gru", hidden=96, dropout=0.1234567890123)
    assert training_config(train.training | tuned.training).learning_rate == 1.5e-05  # a number, not text
    assert models.of("cider").settings == {"window": 3}  # what the environment said stays
    assert dataset.entry.endswith("(kedro run --env mosi_tuned)")
    text = (conf / "mosi_tuned/parameters.yml").read_text("utf-8")
    assert "# context_gru_tuned: study context_gru, trial 17 of 40, 0.9512 on validation" in text
    assert "${data_root:}" in text  # no place of this machine


def test_without_an_environment_of_the_runs_name_it_is_local(conf: Path) -> None:
    (conf / "local/parameters_train.yml").write_text("train: {training: {epochs: 7}}\n", "utf-8")
    save(conf, "duet", replace(FOUND, checkpoints="data/06_models/duet/checkpoints"))
    told = parameters(conf, "duet_tuned")
    assert told["train"]["training"]["epochs"] == 7
    assert told["ingest"] == parameters(conf, "local")["ingest"]
    with pytest.raises((DataError, DatasetError), match=r"tune\.environment 'mosii' is no folder"):
        save(conf, "duet", replace(FOUND, source="mosii"))


def test_studies_of_two_labels_share_the_environment(conf: Path) -> None:
    save(conf, "mosi")
    save(
        conf,
        "mosi",
        replace(FOUND, variant="mlp_tuned", of="mlp", model="mlp", settings={"hidden": 99}, told="study mlp, trial 3"),
    )
    save(conf, "mosi", replace(FOUND, settings={"hidden": 97}, told="a later study"))
    told = parameters(conf, "mosi_tuned")
    assert told["train"]["models"] == ["prior", "context_gru", "context_gru_tuned", "mlp", "mlp_tuned"]
    assert told["models"]["mlp_tuned"]["settings"] == {"hidden": 99}
    assert told["models"]["context_gru_tuned"]["settings"] == {"hidden": 97}
    text = (conf / "mosi_tuned/parameters.yml").read_text("utf-8")
    assert "# mlp_tuned: study mlp, trial 3\n" in text
    assert "# context_gru_tuned: a later study\n" in text


@pytest.mark.parametrize("name", ["parameters.yml", "globals.yml"])
def test_a_file_that_was_changed_by_hand_is_left_alone(conf: Path, name: str) -> None:
    save(conf, "mosi")
    path = conf / "mosi_tuned" / name
    edited = path.read_text("utf-8") + "# my note\n"
    path.write_text(edited, "utf-8")
    with pytest.raises((DataError, DatasetError), match=rf"mosi_tuned/{name} was not written by a study, or was changed since"):
        save(conf, "mosi")
    assert path.read_text("utf-8") == edited


def test_a_label_with_a_hyphen_keeps_where_it_comes_from(conf: Path) -> None:
    save(conf, "mosi", replace(FOUND, variant="my-gru_tuned", of="my-gru", told="study my-gru, trial 3"))
    save(conf, "mosi", FOUND)
    text = (conf / "mosi_tuned" / "parameters.yml").read_text("utf-8")
    assert "# my-gru_tuned: study my-gru, trial 3\n" in text
