"""A project of a few seconds: tiny duet, three models, two seeds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lacuna.bench import Cell, Protocol
from lacuna.corpus import save_corpus
from lacuna.evaluation import EvaluationConfig, PatternSpec
from lacuna.synthetic.duet import generate, preset
from lacuna.training import TrainingConfig

ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = {
    "ingest": {"name": "duet", "duet": {"preset": "tiny"}},
    "train": {"models": ["prior", "linear", "mlp"], "seeds": [0, 1], "training": {"epochs": 3, "checkpoint_seconds": 0}},
    "evaluate": {"patterns": ["rmm"], "rates": [0.0, 0.5, 1.0], "mask_seeds": [0], "replicates": 100, "recovery_rates": []},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one environment, ``tiny``."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "conf" / "base", folder / "conf" / "base")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "conf" / "tiny").mkdir()
    (folder / "conf" / "tiny" / "parameters.yml").write_text(yaml.safe_dump(TINY))
    return folder


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny duet on disk."""
    folder = tmp_path_factory.mktemp("bench") / "corpus"
    save_corpus(generate(preset("tiny")), folder)
    return folder


@pytest.fixture
def make_cell(corpus_folder: Path, tmp_path: Path) -> Callable[..., Cell]:
    """Makes a cell that takes well under a second."""
    protocol = Protocol(EvaluationConfig((PatternSpec("rmm"),), rates=(0.0, 0.5), mask_seeds=(0,), replicates=100), ())

    def make(**changes: Any) -> Cell:
        given: dict[str, Any] = {"corpus": corpus_folder, "target": None, "checkpoints": tmp_path / "runs", "variant": "mlp"}
        given |= {"model": "mlp", "settings": {}, "training": TrainingConfig(epochs=1, threads=1, device="cpu"), "seed": 0}
        return Cell(**(given | {"protocol": protocol} | changes))

    return make
