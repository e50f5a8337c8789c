"""The toys of ``toys.py``, registered for one test at a time."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.training import Fitted, Recipe, TrainingConfig, fit


def _load_toys() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lacuna_training_toys", Path(__file__).with_name("toys.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_TOYS = _load_toys()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    _TOYS.install(monkeypatch.setitem)
    return _TOYS


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return _TOYS.make_corpus()


@pytest.fixture(scope="session")
def statistics(corpus: Corpus) -> Statistics:
    return fit_statistics(corpus)


@pytest.fixture(scope="session")
def quick() -> dict[str, Any]:
    """Settings of a run of a few milliseconds."""
    return {
        "epochs": 3,
        "batch_size": 16,
        "rates": (0.0, 0.3, 0.5),
        "device": "cpu",
        "learning_rate": 0.01,
        "checkpoint_seconds": 0,
    }


@pytest.fixture
def train_toy(corpus: Corpus, statistics: Statistics, quick: dict[str, Any]) -> Callable[..., Fitted]:
    """Train a toy: ``train_toy("toy", folder=..., seed=..., settings=..., corpus=..., <training settings>)``."""

    def run(name: str = "toy", *, folder: Path | None = None, seed: int = 0, settings: dict[str, Any] | None = None,
            corpus: Corpus = corpus, **changes: Any) -> Fitted:  # fmt: skip
        own = statistics if corpus.name == "toy" and corpus is corpus_ else fit_statistics(corpus)
        config = TrainingConfig(**quick | changes)
        return fit(Recipe.of(corpus, name, config, settings, seed, statistics=own), folder)

    corpus_ = corpus
    return run
