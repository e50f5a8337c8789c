"""A budget: the same number of trials for every model, on validation alone, kept and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lacuna
from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import BusyError, ConfigError
from lacuna.pipelines.parameters import Models, Train
from lacuna.pipelines.train.nodes import train_recognizers
from lacuna.training import training_config
from lacuna.training.lock import locked
from lacuna.tuning import all_within_budget, budget, within_budget

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


@pytest.mark.slow
def test_variants_share_a_search_with_their_ensembles_and_keep_what_lies_outside(corpus: Corpus, tmp_path: Path) -> None:
    save_corpus(corpus, tmp_path / "corpus")
    settings = {"mlp": {"hidden": 3}, "mlp_of_2": {"hidden": 3, "ensemble": 2}}  # hidden: outside of the span of mlp
    variants = {name: ("mlp", own, TRAINING) for name, own in settings.items()}
    chosen = all_within_budget(variants, open_corpus(tmp_path / "corpus"), 2, tmp_path / "studies", workers=2)
    assert {one.trials for one in chosen.values()} == {2}
    assert chosen["mlp"].training == chosen["mlp_of_2"].training
    assert chosen["mlp_of_2"].settings == chosen["mlp"].settings | {"ensemble": 2}
    assert chosen["mlp"].settings["hidden"] == 3
    assert len(list((tmp_path / "studies").glob("*.db"))) == 1


@pytest.mark.slow
def test_the_train_pipeline_searches_once_for_all_seeds_and_shares_its_trials(corpus: Corpus, tmp_path: Path) -> None:
    settings = {"models": ["prior", "linear"], "seeds": [0, 1], "budget": 2, "workers": 1, "training": TRAINING}
    train, development = Train(checkpoints=tmp_path / "checkpoints", **settings), corpus.only("train", "valid")
    statistics = fit_statistics(corpus.only("train")).to_tensors()
    trained, _ = train_recognizers(development, statistics, train, Models())
    assert [(r.variant, r.seed, r.selection.trials) for r in trained] == [
        ("prior", 0, 1),
        ("prior", 1, 1),
        ("linear", 0, 2),
        ("linear", 1, 2),
    ]
    training = vars(train.config(Models().of("linear")))  # as a cell of the grid holds them
    chosen = within_budget("linear", corpus, 2, tmp_path / "studies", settings={}, training=training)
    assert training_config(chosen.training).result_settings() == trained[2].selection.training == trained[3].selection.training
    assert len(list((tmp_path / "studies").glob("*.db"))) == 1


def test_a_search_that_another_process_runs_is_refused(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(config: Any, development: Corpus, place: Any) -> None:
        with locked(place.folder):
            pass

    monkeypatch.setattr(budget, "run_study", again)
    with pytest.raises(BusyError):
        within_budget("linear", corpus, 2, tmp_path, settings={}, training=TRAINING)


@pytest.mark.slow
def test_the_front_door_trains_the_best_of_the_budget(corpus: Corpus, tmp_path: Path) -> None:
    model = lacuna.create_model("linear").fit(corpus, epochs=1, budget=2, folder=tmp_path)
    assert model.trained.selection.trials == 2
    assert "best of 2 trials" in repr(model)
    saved = lacuna.load_model(model.save(tmp_path / "model"))
    assert saved.trained.selection.trials == 2
