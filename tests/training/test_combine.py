"""Combinations of trained recognisers: fitted on validation alone, stored, and trained from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from lacuna.training import (
    Recipe,
    TrainedRecognizer,
    TrainingConfig,
    combine,
    fit,
    fit_all,
    load_recognizer,
    run_folder,
    save_recognizer,
)
from lacuna.training.loader import Loader

WAYS = ["vote", "mean", "log_mean", "linear", "mhpf"]
MEMBERS = ["logreg", {"model": "mlp", "settings": {"hidden": 4}, "modalities": ["audio"]}, "prior"]


@pytest.fixture(scope="module")
def config() -> TrainingConfig:
    return TrainingConfig(epochs=2, batch_size=32, device="cpu", learning_rate=0.01, checkpoint_seconds=0)


@pytest.fixture(scope="module")
def trained(corpus: Corpus, config: TrainingConfig) -> list[TrainedRecognizer]:
    audio = corpus.without("text", "vision")
    recipes = [Recipe.of(corpus, "logreg", config), Recipe.of(corpus, "mlp", config), Recipe.of(audio, "mlp", config)]
    return [fit(recipe).trained for recipe in recipes]


def answer(recognizer: TrainedRecognizer, corpus: Corpus) -> torch.Tensor:
    """Logits of the test split."""
    loader = Loader(corpus.only("test"), recognizer.schema, recognizer.statistics, 64, recognizer.model.needs_dialogue)
    with torch.no_grad():
        return torch.cat([recognizer.model(batch).logits for batch in loader])


@pytest.mark.parametrize("how", WAYS)
def test_saved_and_loaded_it_predicts_equal_bits(
    how: str, corpus: Corpus, trained: list[TrainedRecognizer], tmp_path: Path
) -> None:
    combined = combine(trained, corpus.only("valid"), how, variant="all")
    loaded = load_recognizer(save_recognizer(combined, tmp_path))
    assert torch.equal(answer(loaded, corpus), answer(combined, corpus))
    assert (loaded.name, loaded.variant, loaded.schema) == ("mhpf" if how == "mhpf" else "combined", "all", combined.schema)
    assert list(loaded.schema.dims) == ["text", "audio", "vision"]
    assert np.array_equal(loaded.dialogues, trained[0].dialogues)


@pytest.mark.parametrize("how", [*WAYS, "soup"])
def test_test_and_training_utterances_are_refused(how: str, corpus: Corpus, trained: list[TrainedRecognizer]) -> None:
    for wrong in (corpus, corpus.only("test"), corpus.only("train")):
        with pytest.raises(DataError, match="fitted on the validation split alone"):
            combine(trained[1:2], wrong, how)


@pytest.mark.parametrize("how", ["linear", "mhpf"])
def test_labels_of_the_test_split_change_nothing(how: str, corpus: Corpus, config: TrainingConfig, toys: Any) -> None:
    """A corpus whose test labels are permuted gives equal bits, through a recipe too."""
    other = toys.make_corpus()
    labels = other.utterances.labels["emotion"]
    test = np.flatnonzero(np.isin(other.utterances.split, 2))
    labels[test] = (labels[test] + 1) % 3
    settings = {"members": MEMBERS, "how": how}
    first, second = (fit(Recipe.of(one, "combined", config, settings)).trained for one in (corpus, other))
    states = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(x, states[1][name]) for name, x in states[0].items())


def test_the_mean_of_one_member_is_that_member(corpus: Corpus, trained: list[TrainedRecognizer]) -> None:
    for how in ("mean", "log_mean", "mhpf", "soup"):
        combined = combine(trained[1:2], corpus.only("valid"), how)
        torch.testing.assert_close(answer(combined, corpus).softmax(1), answer(trained[1], corpus).softmax(1))
        assert (combined.seed, combined.corpus, combined.data) == (trained[1].seed, trained[1].corpus, trained[1].data)


def test_members_of_other_data_or_targets_are_refused(corpus: Corpus, trained: list[TrainedRecognizer], toys: Any) -> None:
    config = TrainingConfig(epochs=1, device="cpu")
    stranger = fit(Recipe.of(toys.make_corpus(seed=1), "prior", config)).trained
    with pytest.raises(DataError, match="different data"):
        combine([trained[0], stranger], corpus.only("valid"))
    value = fit(Recipe.of(toys.make_corpus("regression"), "prior", config)).trained
    with pytest.raises(ConfigError, match="only recognisers of one target"):
        combine([trained[0], value], corpus.only("valid"))
    with pytest.raises(ConfigError, match="at least one"):
        combine([], corpus.only("valid"))
    with pytest.raises(ConfigError, match="leave out recovered_by"):
        combine(trained, corpus.only("valid"), recovered_by="ridge")


def test_a_recipe_trains_its_members_as_runs_of_their_own(corpus: Corpus, config: TrainingConfig, tmp_path: Path) -> None:
    recipe = Recipe.of(corpus, "combined", config, {"members": MEMBERS, "how": "linear"})
    alone = Recipe.of(corpus, "logreg", config)
    fitted = fit(recipe, run_folder(tmp_path, recipe)).trained
    assert run_folder(tmp_path, alone).is_dir()  # the member shares the run of the model alone
    member = fit(alone, run_folder(tmp_path, alone)).trained.model.state_dict()
    assert all(torch.equal(x, fitted.model.members[0].state_dict()[name]) for name, x in member.items())  # type: ignore[index]
    again = fit(recipe, run_folder(tmp_path, recipe)).trained
    assert torch.equal(answer(again, corpus), answer(fitted, corpus))
    assert fitted.selection.parameters == sum(p.numel() for p in fitted.model.parameters()) > 0
    inside = fit(recipe, tmp_path / "deep" / "run").trained  # a folder of another kind holds its members itself
    assert (tmp_path / "deep" / "run" / "members" / "logreg").is_dir()
    assert torch.equal(answer(inside, corpus), answer(fitted, corpus))


def test_a_repeated_member_has_other_seeds_and_settings_have_an_order(corpus: Corpus, config: TrainingConfig) -> None:
    slow = {"model": "gcnet", "training": {"epochs": 7}}
    recipe = Recipe.of(corpus, "combined", config, {"members": ["mlp", "mlp", slow, "mlp"]}, seed=2)
    assert [member.seed for member in recipe.members()] == [2, 1002, 2, 2002]
    gcnet = recipe.members()[2].config
    assert (gcnet.epochs, gcnet.batch_size, gcnet.learning_rate) == (7, 512, gcnet.learning_rate)
    assert recipe.members()[0].config == config
    assert Recipe.of(corpus, "mlp", config).members() == ()


def test_the_identity_covers_the_members(corpus: Corpus, config: TrainingConfig) -> None:
    one, other = (Recipe.of(corpus, "combined", config, {"members": [m]}).identity() for m in ("mlp", "logreg"))
    assert len(one["members"]) == 1
    assert one["members"] != other["members"]


@pytest.mark.slow
def test_all_at_once_is_as_one_after_the_other(corpus: Corpus, config: TrainingConfig, tmp_path: Path) -> None:
    from lacuna.corpus import open_corpus, save_corpus

    stored = open_corpus(save_corpus(corpus, tmp_path / "corpus"))
    settings = {"members": MEMBERS, "how": "mhpf"}
    recipes = [Recipe.of(stored, "combined", config, settings), Recipe.of(stored, "logreg", config)]
    together = fit_all(recipes, tmp_path / "together", ["all", "logreg"], workers=2)
    apart = fit(recipes[0], run_folder(tmp_path / "apart", recipes[0]))
    assert torch.equal(answer(together[0].trained, corpus), answer(apart.trained, corpus))
    assert together[0].trained.variant == "all"


def test_the_front_door_and_the_train_pipeline_need_no_special_case(
    corpus: Corpus, config: TrainingConfig, tmp_path: Path
) -> None:
    import lacuna
    from lacuna.corpus.statistics import fit_statistics
    from lacuna.pipelines.parameters import Models, Train
    from lacuna.pipelines.train.nodes import train_recognizers

    settings = {"epochs": 2, "batch_size": 32, "device": "cpu", "learning_rate": 0.01}
    models = Models.model_validate(
        {
            "small": {"model": "mlp", "settings": {"hidden": 4}, "training": {"epochs": 1}},
            "all": {"model": "combined", "settings": {"members": ["small", "prior"], "how": "vote"}},
        }
    )
    train = Train(models=["all", "small"], seeds=[0], checkpoints=tmp_path, workers=1, training=settings)
    statistics = fit_statistics(corpus).to_tensors()
    development = corpus.only("train", "valid")
    by_pipeline, history = train_recognizers(development, statistics, train, models)
    assert [one.variant for one in by_pipeline] == ["all", "small"]
    assert set(history["model"]) == {"all", "small"}
    assert len(list((tmp_path / "mlp").iterdir())) == 1  # the variant and the member are one run
    mlp = {"model": "mlp", "settings": {"hidden": 4}, "training": {"epochs": 1}}
    model = lacuna.create_model("combined", variant="all", members=[mlp, "prior"], how="vote").fit(corpus, **settings)
    assert torch.equal(answer(model.trained, corpus), answer(by_pipeline[0], corpus))
    loaded = lacuna.load_model(model.save(tmp_path / "saved"))
    assert loaded.settings == {"members": loaded.trained.model.config.members, "how": "vote"}
    assert loaded.predict(corpus.only("test"), drop="audio").equals(model.predict(corpus.only("test"), drop="audio"))
    table = lacuna.evaluate([model, "prior"], corpus, patterns=["rmm"], rates=[0.0, 0.5], recovery_rates=[])
    assert {"all", "prior"} <= set(table.scores["model"])
