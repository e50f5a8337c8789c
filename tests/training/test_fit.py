from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.batch import collate
from lacuna.corpus.statistics import Statistics
from lacuna.errors import ConfigError, DataError, TrainingError
from lacuna.models.wrappers.causal import Causal
from lacuna.training import Fitted, Recipe, TrainingConfig, fit, load_recognizer, save_recognizer
from lacuna.training.state import Progress

Train = Callable[..., Fitted]


def weights(fitted: Fitted) -> dict[str, torch.Tensor]:
    return fitted.trained.model.state_dict()


def same(a: Fitted, b: Fitted) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


@pytest.mark.parametrize("name", ["toy", "staged", "talk", "linear"])
@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
def test_every_kind_of_model_and_target_learns(name: str, task: str, train_toy: Train, toys: ModuleType) -> None:
    fitted = train_toy(name, corpus=toys.make_corpus(task), epochs=15, learning_rate=0.03)
    chosen = fitted.trained.selection
    assert chosen.metric == ("ccc" if task == "regression" else "weighted_f1")
    assert chosen.value > 0.6
    assert chosen.value == max(row[chosen.metric] for row in fitted.history)
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"] or name == "staged"
    assert chosen.parameters == sum(p.numel() for p in fitted.trained.model.parameters())
    assert not fitted.trained.model.training


def test_the_same_seed_gives_the_same_bits_and_another_does_not(train_toy: Train) -> None:
    assert same(train_toy(), train_toy())
    assert not same(train_toy(), train_toy(seed=1))
    assert same(train_toy(epochs=1), train_toy(epochs=1, threads=1))


def test_global_state_is_neither_read_nor_changed(train_toy: Train) -> None:
    first = train_toy()
    torch.rand(7)
    np.random.default_rng(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr] # noqa: NPY002
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    assert same(first, train_toy(threads=threads + 1))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # type: ignore[index] # noqa: NPY002
    assert (threads, mode) == (torch.get_num_threads(), torch.get_deterministic_debug_mode())


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(train_toy: Train) -> None:
    fitted = train_toy(epochs=60, patience=3, learning_rate=0.05)
    chosen, values = fitted.trained.selection, [row["weighted_f1"] for row in fitted.history]
    assert chosen.epochs == len(values) < 60
    assert chosen.epoch == len(values) - 4
    assert chosen.epoch == int(np.argmax(values))
    assert same(fitted, train_toy(epochs=chosen.epoch + 1, patience=3, learning_rate=0.05))


def test_of_equal_epochs_the_earlier_one_is_kept() -> None:
    progress = Progress()
    assert [progress.close_epoch(value, {}) for value in (0.2, 0.5, 0.5, 0.4, 0.5)] == [True, True, False, False, False]
    assert (progress.best, progress.best_epoch, progress.waited) == (0.5, 1, 3)


def test_averaged_weights_are_what_is_judged_and_kept(train_toy: Train) -> None:
    raw, averaged = train_toy(epochs=1), train_toy(epochs=1, ema=0.999)
    assert raw.history[0]["train_loss"] == averaged.history[0]["train_loss"]  # training itself is the same
    assert not same(raw, averaged)
    assert raw.history[0]["valid_loss"] != averaged.history[0]["valid_loss"]


def test_models_that_do_not_learn_are_judged_once(train_toy: Train, corpus: Corpus) -> None:
    fitted = train_toy("still")
    assert len(fitted.history) == 1
    assert (fitted.trained.selection.epoch, fitted.trained.selection.epochs) == (0, 0)
    assert "train_loss" not in fitted.history[0]
    assert weights(fitted)["prepared"] == len(corpus.only("train"))


def test_prepare_runs_once_over_the_training_split(train_toy: Train, corpus: Corpus) -> None:
    assert weights(train_toy("toy"))["prepared"] == len(corpus.only("train"))


def test_the_history_says_what_happened(train_toy: Train) -> None:
    history = train_toy("staged", schedule="cosine").history
    assert [row["epoch"] for row in history] == [0, 1, 2]
    row = history[0]
    assert {
        "rebuild/error",
        "rebuild/fool",
        "judge/hinge",
        "task/task",
        "task/grad_norm",
        "weighted_f1",
        "valid_loss",
        "seconds",
    } < set(row)
    assert row["train_loss"] == pytest.approx(row["rebuild/error"] + row["rebuild/fool"] + row["judge/hinge"] + row["task/task"])
    assert 0.01 > history[0]["learning_rate"] > history[1]["learning_rate"] > history[2]["learning_rate"] > 0


def test_a_trained_recogniser_survives_the_disk(train_toy: Train, corpus: Corpus, tmp_path: Any) -> None:
    trained = train_toy("staged").trained
    again = load_recognizer(save_recognizer(trained, tmp_path))
    batch = collate(corpus, np.arange(9), corpus.schema(), again.statistics)
    assert torch.equal(trained.model(batch).logits, again.model(batch).logits)
    assert again.selection == trained.selection


def test_bfloat16_on_the_cpu(train_toy: Train) -> None:
    fitted = train_toy(precision="bfloat16", epochs=5, learning_rate=0.03)
    assert fitted.trained.selection.value > 0.5
    assert all(p.dtype == torch.float32 for p in fitted.trained.model.parameters())


class TestSplits:
    def refused(
        self, kind: type[Exception], message: str, train: Corpus, valid: Corpus, statistics: Statistics, seed: Any = 0
    ) -> None:
        with pytest.raises(kind, match=message):
            fit(Recipe("toy", train.schema(), train, valid, statistics, TrainingConfig(epochs=1), seed=seed))

    def test_a_test_utterance_is_refused_anywhere(self, corpus: Corpus, statistics: Statistics) -> None:
        train, valid = corpus.only("train"), corpus.only("valid")
        self.refused(DataError, "the training corpus holds test utterances", corpus, valid, statistics)
        self.refused(DataError, "the validation corpus holds test utterances", train, corpus.only("valid", "test"), statistics)

    def test_no_validation_split(self, corpus: Corpus, statistics: Statistics) -> None:
        empty = corpus.take(np.zeros(0, np.int64))
        self.refused(ConfigError, "no validation utterance; set ingest.valid_share", corpus.only("train"), empty, statistics)
        self.refused(ConfigError, "no training utterance", empty, corpus.only("valid"), statistics)

    def test_no_labels(self, corpus: Corpus, statistics: Statistics) -> None:
        train, valid = corpus.only("train"), corpus.only("valid")
        bare = replace(valid, utterances=replace(valid.utterances, labels={"emotion": np.full(len(valid), -1)}))
        self.refused(ConfigError, "no validation utterance .+ is labelled", train, bare, statistics)

    def test_an_utterance_in_both(self, corpus: Corpus, statistics: Statistics) -> None:
        train = corpus.only("train")
        leak = corpus.take(np.concatenate([np.flatnonzero(corpus.utterances.split == 1), [4]]))
        self.refused(DataError, "'u4'", train, leak, statistics)

    def test_another_target(self, corpus: Corpus, statistics: Statistics, toys: ModuleType) -> None:
        other = toys.make_corpus("soft").only("valid")
        self.refused(ConfigError, "target 'emotion' of corpus 'toy' differs", corpus.only("train"), other, statistics)

    @pytest.mark.parametrize("seed", [-1, 1.5, True])
    def test_the_seed(self, seed: Any, corpus: Corpus, statistics: Statistics) -> None:
        self.refused(ConfigError, "seed must be a whole number", corpus.only("train"), corpus.only("valid"), statistics, seed)


def test_an_answer_that_is_not_finite_in_validation_stops(
    train_toy: Train, toys: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forward = toys.Toy.forward
    monkeypatch.setattr(
        toys.Toy,
        "forward",
        lambda self, batch: (p := forward(self, batch), None if self.training else p.logits.mul_(torch.nan))[0],
    )
    with pytest.raises(TrainingError, match="answers validation utterance 'u80' with NaN or inf, and 34 more") as error:
        train_toy(folder=tmp_path)
    assert error.value.utterances == tuple(f"u{i}" for i in range(80, 115))
    stopped = json.loads((tmp_path / "stopped.json").read_text())
    assert (stopped["stage"], stopped["epoch"], len(stopped["utterances"])) == ("validation", 0, 35)


@pytest.mark.parametrize("where", ["to", "prepare", "validation", "step"])
def test_memory_that_is_exhausted_outside_of_the_passes_is_told_too(
    where: str, train_toy: Train, toys: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = toys.Toy.forward

    def full(self: Any, *given: Any, **options: Any) -> Any:
        if where == "validation" and self.training:
            return forward(self, *given, **options)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.\nA long story")

    owner, name = {
        "to": (toys.Toy, "to"),
        "prepare": (toys.Toy, "prepare"),
        "validation": (toys.Toy, "forward"),
        "step": (torch.optim.AdamW, "step"),
    }[where]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(TrainingError, match=r"(?s)where: outside of the passes.+Tried to allocate 1 GiB\.\n.+it is 16") as error:
        train_toy()
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)


def test_what_validation_settles_is_kept(corpus: Corpus, statistics: Statistics, tmp_path: Any) -> None:
    """The tau of a corrected model is chosen after the weights, on validation, and comes back from the disk and from a result."""
    settings = {"maci": {"backdoor": False, "most_tau": 2.0}}
    config = TrainingConfig(epochs=3, threads=1, device="cpu")
    recipe = Recipe.of(corpus, "mlp", config, settings, statistics=statistics)
    fitted = fit(recipe, tmp_path)
    model = fitted.trained.model
    assert isinstance(model, Causal)
    assert len(model.curve) == 21
    assert float(model.curve.max()) > 0
    assert float(model.tau) == pytest.approx(float(model.curve.argmax()) / 10)
    again = fit(recipe, tmp_path).trained.model
    assert isinstance(again, Causal)
    assert torch.equal(again.curve, model.curve)
