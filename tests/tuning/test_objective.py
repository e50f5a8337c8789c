"""The value of a trial: on validation only, the mean over training seeds, without access to the test split."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from lacuna.corpus import Corpus, open_corpus
from lacuna.errors import DataError
from lacuna.evaluation import auilc
from lacuna.missing import Layout, MaskPlan, derive_seed
from lacuna.training import Loader, Recipe, TrainingConfig, fit
from lacuna.training.selection import tallied
from lacuna.tuning.objective import area, base_recipe, digests, put_corpus, value_of, watcher
from lacuna.tuning.study import WARM


def test_a_corpus_with_test_utterances_is_refused(corpus: Corpus, make: Any) -> None:
    with pytest.raises(DataError, match=r"a study would see test utterances(.|\n)*pass corpus.only\('train', 'valid'\)"):
        base_recipe(corpus, make())


def test_the_workers_corpus_holds_no_test_utterance_and_is_written_once(corpus: Corpus, base: Recipe, tmp_path: Path) -> None:
    folder = put_corpus(corpus, tmp_path, digests(base))  # of the whole corpus, test split included
    saved = open_corpus(folder)
    assert set(np.unique(saved.utterances.split)) == {0, 1}
    assert len(saved) == len(base.train) + len(base.valid)
    files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert put_corpus(corpus, tmp_path, digests(base)) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    assert put_corpus(corpus, tmp_path, {"train": "other", "valid": "data"}) != folder


def test_the_value_is_the_area_under_the_validation_curve(base: Recipe, make: Any) -> None:
    config = make(rates=(0.0, 0.4, 0.8), mask_seeds=(0, 1), seeds=(3, 4))
    value, facts = value_of(config, base, config.start)
    by_seed = []
    for seed in (3, 4):
        training = TrainingConfig(**config.training)
        trained = fit(Recipe("mlp", base.schema, base.train, base.valid, base.statistics, training, seed=seed)).trained
        loader = Loader(base.valid, base.schema, base.statistics, 64, trained.model.needs_dialogue, "cpu")
        layout = Layout.of(base.valid)
        curve = []
        for rate in config.rates:
            masks = [MaskPlan("rmm", rate, derive_seed(s, "study")).over(layout) for s in (0, 1)]
            curve.append(np.mean([t.metric for t in tallied(trained.model, loader, masks, nullcontext())]))
        by_seed.append(float(auilc(config.rates, np.array(curve))))
        assert area(trained, base, config) == pytest.approx(by_seed[-1])
    assert facts["values"] == pytest.approx(by_seed)
    assert value == pytest.approx(np.mean(by_seed))
    assert value_of(config, base, config.start)[0] == value  # a function of its arguments


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_objective_cannot_be_given_a_test_split(corpus: Corpus, base: Recipe, make: Any, split: str) -> None:
    config = make("linear")
    with pytest.raises(DataError, match="test"):
        value_of(config, replace(base, **{split: corpus.only(split, "test")}), config.start)


def test_a_pruned_run_keeps_its_checkpoint_and_continues_from_it(base: Recipe, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=5, threads=1, device="cpu", checkpoint_seconds=0, patience=0)
    recipe = Recipe("mlp", base.schema, base.train, base.valid, base.statistics, config)
    whole: list[int] = []
    expected = fit(recipe, watch=lambda row: whole.append(int(row["epoch"]))).trained.model.state_dict()
    assert whole == [0, 1, 2, 3, 4]
    seen: list[int] = []

    def stop(row: dict[str, float]) -> None:
        seen.append(int(row["epoch"]))
        if row["epoch"] == 2:
            raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        fit(recipe, tmp_path, watch=stop)
    again: list[int] = []
    found = fit(recipe, tmp_path, watch=lambda row: again.append(int(row["epoch"]))).trained.model.state_dict()
    assert (seen, again) == ([0, 1, 2], [0, 1, 2, 3, 4])  # those before the checkpoint are reported again
    assert all((expected[name] == found[name]).all() for name in expected)
    fit(recipe, tmp_path, watch=lambda row: again.append(-1))
    assert -1 not in again  # it was finished before


def test_a_bad_trial_is_pruned_but_never_the_one_with_the_variants_own_settings() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    good = study.ask()
    good.report(0.9, 0)
    study.tell(good, 0.9)
    study.enqueue_trial({}, user_attrs={WARM: True})
    watcher(study.ask(), "weighted_f1")({"epoch": 0.0, "weighted_f1": 0.1})
    with pytest.raises(optuna.TrialPruned, match="after epoch 1"):
        watcher(study.ask(), "weighted_f1")({"epoch": 0.0, "weighted_f1": 0.1})
