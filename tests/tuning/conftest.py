"""A study small enough for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lacuna.corpus import Corpus
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe
from lacuna.tuning import Place, StudyConfig, search
from lacuna.tuning.worker import quiet_optuna

TRAINING: dict[str, Any] = {"epochs": 2, "threads": 1, "device": "cpu", "rates": [0.0, 0.5], "checkpoint_seconds": 0}
Make = Callable[..., StudyConfig]


@pytest.fixture(autouse=True)
def quiet() -> None:
    quiet_optuna()


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return generate(preset("tiny"))


@pytest.fixture(scope="session")
def base(corpus: Corpus) -> Recipe:
    return Recipe.of(corpus, "mlp")


@pytest.fixture
def make() -> Make:
    def config(model: str = "mlp", training: dict[str, Any] | None = None, **changes: Any) -> StudyConfig:
        searched = search(model, {}, TRAINING | (training or {}), {}, {})
        options: dict[str, Any] = {"trials": 4, "rates": (0.0, 0.5), "mask_seeds": (0,), "startup": 2, "warmup": 0} | changes
        return StudyConfig(model, model, searched.settings, searched.training, searched.space, searched.start, **options)

    return config


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "studies" / "mlp", "mlp", heartbeat=1)
