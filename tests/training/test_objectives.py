"""The settings `loss` and `auxiliary_targets` reach every model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus, Target, save_corpus
from lacuna.corpus.batch import collate
from lacuna.corpus.corpus import has_label
from lacuna.corpus.derived import DISAGREEMENT, add_target, disagreement
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.models import Recognizer, build, list_models, model_class
from lacuna.models.objective import Objective, task_loss
from lacuna.training import Fitted, Recipe, TrainingConfig, fit, load_recognizer, save_recognizer
from lacuna.training.losses import list_losses, loss_class

VALENCE = Target("valence", "regression", low=-1, high=1)
ABLE = [name for name in list_models() if model_class(name).gives_hidden]


@pytest.fixture(scope="module")
def several() -> Corpus:
    """The toy corpus with a second target, of which every third utterance has no label."""
    from lacuna_training_toys import make_corpus

    corpus: Corpus = make_corpus()
    emotion = corpus.utterances.labels["emotion"]
    valence = np.where(np.arange(len(corpus)) % 3 == 0, np.nan, emotion - 1.0).astype(np.float32)
    return add_target(corpus, VALENCE, valence)


class Counting(Objective):
    """The plain loss, ten times as large, which counts its calls."""

    calls = 0

    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return 10 * task_loss(self.target, logits, label)


@pytest.mark.parametrize("name", [name for name in list_models() if model_class(name).learns])
def test_the_loss_reaches_every_model_that_learns(name: str, corpus: Corpus) -> None:
    schema = corpus.schema()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny).eval()
    batch = collate(corpus, np.arange(20), schema, fit_statistics(corpus))
    model.prepare(lambda: [batch])
    counting = Counting(schema.target)
    for part in model.modules():
        if isinstance(part, Recognizer):
            part.objective = counting
    for stage in model.stages:
        model.losses(batch, batch, stage.name)
    assert counting.calls, f"model '{name}': call self.task_loss(logits, label) instead of task_loss(target, logits, label)"


@pytest.mark.parametrize("name", list_losses())
def test_every_loss_trains_a_model_and_leaves_nothing_in_it(name: str, toys: ModuleType, quick: dict[str, Any]) -> None:
    task = loss_class(name).tasks[0]
    corpus = toys.make_corpus(task, frames=3)
    settings = {"name": "physics", "modality": "audio", "frames": 4} if name == "physics" else name
    model = "mlp" if loss_class(name).reads_hidden else "toy"
    fitted = fit(Recipe.of(corpus, model, TrainingConfig(**quick | {"loss": settings})))
    terms = {k: v for row in fitted.history for k, v in row.items()}
    assert np.isfinite(list(terms.values())).all()
    assert fitted.trained.model.objective is None
    assert not any("objective" in key for key in fitted.trained.model.state_dict())
    if name in ("triplet", "physics"):
        assert {"task/triplet"} <= set(terms) or {"task/course", "task/residual"} <= set(terms)


def test_the_plain_loss_by_name_is_the_default(train_toy: Callable[..., Fitted]) -> None:
    weights = [train_toy(**changes).trained.model.state_dict() for changes in ({}, {"loss": "plain"}, {"loss": "focal"})]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert any(not torch.equal(weights[0][k], weights[2][k]) for k in weights[0])


@pytest.mark.parametrize("model", ABLE)
def test_hidden_vectors_are_what_the_model_declares(model: str, corpus: Corpus) -> None:
    schema = corpus.schema()
    built = build(model, schema, **model_class(model).tiny).eval()
    batch = collate(corpus, np.arange(10), schema, fit_statistics(corpus))
    hidden = built(batch).hidden
    assert hidden is not None
    assert hidden.shape == (10, built.hidden_width)


def with_two(name: str, several: Corpus) -> tuple[Recognizer, Any]:
    schema = replace(several.schema(), auxiliary=(VALENCE,))
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny).eval()
    batch = collate(several, np.arange(20), schema, fit_statistics(several))
    model.prepare(lambda: [batch])
    return model, batch


@pytest.mark.parametrize("name", ABLE)
def test_masked_targets_give_no_gradient(name: str, several: Corpus) -> None:
    model, batch = with_two(name, several)
    unlabelled = replace(batch, others={"valence": torch.full((20,), torch.nan)})
    term = model.losses(unlabelled, unlabelled, model.stages[0].name)["valence"]
    assert float(term.detach()) == 0
    learned = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(term, learned, allow_unused=True)
    assert all((g == 0).all() for g in gradients if g is not None)
    one = replace(batch, others={"valence": torch.where(torch.arange(20) == 4, batch.others["valence"], torch.nan)})
    labels = model.losses(one, one, model.stages[0].name)["valence"]
    value = model.auxiliary_logits(model(one))[0][4]
    torch.testing.assert_close(labels, task_loss(VALENCE, value.unsqueeze(0), one.others["valence"][4:5]))


@pytest.mark.parametrize("name", ABLE)
def test_a_second_target_is_learned_beside_the_main_one(
    name: str, several: Corpus, quick: dict[str, Any], tmp_path: Path
) -> None:
    settings = quick | {"epochs": 2, "auxiliary_targets": {"valence": {"weight": 0.5, "loss": "ccc"}}}
    fitted = fit(Recipe.of(several, name, TrainingConfig(**settings), model_class(name).tiny))
    trained = fitted.trained
    assert trained.selection.metric == "weighted_f1"
    assert all(np.isfinite(row["task/valence"]) for row in fitted.history)
    again = load_recognizer(save_recognizer(trained, tmp_path / "saved"))
    assert again.schema.auxiliary == (VALENCE,)
    batch = collate(several, np.arange(20), trained.schema, trained.statistics)
    answers = [model.auxiliary_logits(model(batch))[0] for model in (trained.model, again.model)]
    assert answers[0].shape == (20, 1)
    assert torch.equal(*answers)


def test_the_value_is_learned(several: Corpus, quick: dict[str, Any]) -> None:
    settings = quick | {"epochs": 25, "patience": 0, "auxiliary_targets": {"valence": 1.0}}
    trained = fit(Recipe.of(several, "mlp", TrainingConfig(**settings))).trained
    valid = several.only("valid")
    batch = collate(valid, np.arange(len(valid)), trained.schema, trained.statistics)
    value = trained.model.auxiliary_logits(trained.model(batch))[0].squeeze(1).detach()
    known = torch.isfinite(batch.others["valence"])
    assert float(torch.corrcoef(torch.stack([value[known], batch.others["valence"][known]]))[0, 1]) > 0.5


def test_a_corpus_on_disk_has_the_same_batches_of_all_targets(several: Corpus, tmp_path: Path, quick: dict[str, Any]) -> None:
    from lacuna.corpus import open_corpus

    mapped = open_corpus(save_corpus(several, tmp_path / "corpus"))
    config = TrainingConfig(**quick | {"auxiliary_targets": {"valence": 0.5}})
    weights = [fit(Recipe.of(one, "mlp", config)).trained.model.state_dict() for one in (several, mapped)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_other_auxiliary_labels_are_another_run(several: Corpus, quick: dict[str, Any]) -> None:
    config = TrainingConfig(**quick | {"auxiliary_targets": {"valence": 0.5}})
    labels = {**several.utterances.labels, "valence": several.utterances.labels["valence"] * 2}
    changed = replace(several, utterances=replace(several.utterances, labels=labels))
    identities = [Recipe.of(corpus, "mlp", config).identity() for corpus in (several, changed)]
    assert identities[0] != identities[1]
    assert identities[0]["training.auxiliary_targets.valence.weight"] == 0.5


@pytest.mark.parametrize(
    ("model", "settings", "problem"),
    [
        ("prior", {"loss": "focal"}, "fitted in closed form, so training setting 'loss'"),
        ("prior", {"sampling": "balanced"}, "fitted in closed form, so training setting 'sampling'"),
        ("toy", {"loss": "triplet"}, "reads hidden vectors, which model 'toy' does not give; do: choose one of .*mlp"),
        ("toy", {"loss": "ccc"}, "loss 'ccc' is for targets of kind regression"),
        ("mlp", {"loss": "physics"}, "needs column 0 of a modality 'eda'"),
        ("toy", {"auxiliary_targets": {"valence": 1}}, "has no vector that heads of auxiliary targets can read"),
        ("mlp", {"auxiliary_targets": {"valenc": 1}}, "no target 'valenc'"),
        ("mlp", {"auxiliary_targets": {"emotion": 1}}, "target 'emotion' is named twice"),
        ("mlp", {"auxiliary_targets": {"valence": -1}}, "'auxiliary_targets' must be weights of at least 0"),
        ("mlp", {"auxiliary_targets": {"valence": {"loss": "focal"}}}, "loss 'focal' is for targets of kind"),
        ("mlp", {"auxiliary_targets": {"valence": {"loss": "triplet"}}}, "loss 'triplet' is for the main target only"),
        ("mlp", {"auxiliary_targets": ["valence"]}, "must be a mapping from names"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    model: str, settings: dict[str, Any], problem: str, several: Corpus, quick: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=problem):
        fit(Recipe.of(several, model, TrainingConfig(**quick | settings)))


def test_an_auxiliary_target_without_labels_is_refused(several: Corpus, quick: dict[str, Any]) -> None:
    empty = add_target(several, Target("arousal", "regression"), np.full(len(several), np.nan, np.float32))
    with pytest.raises(ConfigError, match="auxiliary target 'arousal' has no label in the training split"):
        fit(Recipe.of(empty, "mlp", TrainingConfig(**quick | {"auxiliary_targets": {"arousal": 1}})))


def test_disagreement_is_a_target_that_can_be_learned(several: Corpus, quick: dict[str, Any]) -> None:
    emotion = several.utterances.labels["emotion"]
    writer = np.where(emotion == -1, np.nan, emotion == 2).astype(np.float32)
    readers = np.stack([np.arange(len(several)) % 2, np.full(len(several), np.nan)], axis=1).astype(np.float32)
    labels = disagreement(writer, readers)
    assert set(labels[emotion == 2].tolist()) == {0, 1}
    assert set(labels[(emotion != 2) & (emotion >= 0)].tolist()) == {0}
    assert not has_label(DISAGREEMENT, labels)[emotion == -1].any()
    corpus = add_target(several, DISAGREEMENT, labels)
    trained = fit(Recipe.of(corpus, "toy", TrainingConfig(**quick | {"loss": "focal"}), target="disagreement")).trained
    assert trained.schema.target == DISAGREEMENT
    with pytest.raises(DataError, match="there already"):
        add_target(corpus, DISAGREEMENT, labels)
    with pytest.raises(DataError, match="wrong shape"):
        add_target(corpus, Target("other", "soft", ("a", "b")), labels)
