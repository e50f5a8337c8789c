"""A budget: the same number of trials for every model, on validation alone, kept and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lacuna
from lacuna.corpus import Corpus, open_corpus
from lacuna.errors import ConfigError
from lacuna.tuning import within_budget

TRAINING: dict[str, Any] = {"epochs": 2, "threads": 1, "device": "cpu", "rates": [0.0, 0.5], "checkpoint_seconds": 0}


def test_a_model_without_settings_has_one_trial(corpus: Corpus, tmp_path: Path) -> None:
    chosen = within_budget("prior", corpus, 3, tmp_path, settings={}, training=TRAINING)
    assert (chosen.settings, chosen.training, chosen.trials) == ({}, TRAINING, 1)
    with pytest.raises(ConfigError, match="at least 1"):
        within_budget("linear", corpus, 0, tmp_path, settings={}, training=TRAINING)


@pytest.mark.slow
def test_every_model_gets_the_same_number_of_trials_and_a_larger_budget_continues(corpus: Corpus, tmp_path: Path) -> None:
    found = {name: within_budget(name, corpus, 2, tmp_path, settings={}, training=TRAINING) for name in ("linear", "mlp")}
    assert {chosen.trials for chosen in found.values()} == {2}
    databases = sorted(tmp_path.glob("*.db"))
    assert within_budget("linear", corpus, 2, tmp_path, settings={}, training=TRAINING) == found["linear"]  # nothing runs
    assert within_budget("linear", corpus, 3, tmp_path, settings={}, training=TRAINING).trials == 3
    assert sorted(tmp_path.glob("*.db")) == databases
    saved = [open_corpus(path.parent) for path in tmp_path.glob("*/corpus-*/corpus.json")]
    assert saved
    assert all(not len(one.only("test")) for one in saved)


@pytest.mark.slow
def test_the_front_door_trains_the_best_of_the_budget(corpus: Corpus, tmp_path: Path) -> None:
    model = lacuna.create_model("linear").fit(corpus, epochs=1, budget=2, folder=tmp_path)
    assert model.trained.selection.trials == 2
    assert "best of 2 trials" in repr(model)
    saved = lacuna.load_model(model.save(tmp_path / "model"))
    assert saved.trained.selection.trials == 2
