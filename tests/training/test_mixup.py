"""Mixup respects which modalities are available."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import build
from lacuna.training import Fitted
from lacuna.training.mixup import Mixup, mixed, mixing, partners


def masked(toys: ModuleType, seed: int) -> Batch:
    """A batch of sequences in which frames and whole modalities are missing."""
    corpus = toys.make_corpus(frames=4)
    batch = collate(corpus, np.arange(60), corpus.schema(), fit_statistics(corpus))
    generator = torch.Generator().manual_seed(seed)
    whole = torch.rand(60, 3, generator=generator) < 0.6
    frames = {m: torch.rand(p.shape, generator=generator) < 0.8 for m, p in batch.present.items()}
    return batch.observe({m: whole[:, i, None] & frames[m] for i, m in enumerate(batch.present)})


@pytest.mark.parametrize("by_dialogue", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_an_absent_modality_is_never_mixed_into_a_present_one(toys: ModuleType, seed: int, by_dialogue: bool) -> None:
    observed = masked(toys, seed)
    partner = partners(observed, by_dialogue, np.random.default_rng(seed))
    moved = partner != torch.arange(60)
    assert moved.any()
    result = mixed(observed, partner, 0.7)
    assert torch.equal(observed.available(), observed.available()[partner])
    assert torch.equal(result.available(), observed.available())  # and no modality is lost
    for m, x in observed.features.items():
        both = observed.present[m] & observed.present[m][partner]
        assert torch.equal(result.present[m], both)
        torch.testing.assert_close(result.features[m][both], (0.7 * x + 0.3 * x[partner])[both])
        assert (result.features[m][~both] == 0).all()
        assert torch.equal(result.features[m][~moved & both.any(dim=1)], x[~moved & both.any(dim=1)])


def test_partners_of_turns_are_turns_of_another_dialogue_at_the_same_position(toys: ModuleType) -> None:
    observed = masked(toys, 0)
    partner = partners(observed, True, np.random.default_rng(0))
    moved = partner != torch.arange(60)
    assert torch.equal(observed.turn[partner], observed.turn)
    assert (observed.dialogue[partner][moved] != observed.dialogue[moved]).all()


@pytest.mark.parametrize("layer", ["input", "hidden"])
def test_the_loss_is_that_of_mixed_vectors_and_mixed_labels(toys: ModuleType, layer: str) -> None:
    observed = masked(toys, 1)
    corpus = toys.make_corpus(frames=4)
    model = build("mlp", corpus.schema(), modality_dropout=0.0).eval()
    source = Mixup(0.5, layer, (0, 0, 0)).over(model)
    terms = source.losses(observed, observed, "task")
    _, _, partner, share, hidden = next(iter(source._mixtures.values()))
    assert hidden == (layer == "hidden")
    if hidden:
        vectors = model(observed).hidden
        assert vectors is not None
        logits = model.head(share * vectors + (1 - share) * vectors[partner])
    else:
        logits = model(mixed(observed, partner, share)).logits
    known = observed.labelled & observed.labelled[partner]
    log_p = logits.log_softmax(dim=1)
    expected = 0.0
    for weight, label in ((share, observed.label), (1 - share, observed.label[partner])):
        labelled = label >= 0
        expected += weight * float(-log_p[labelled, label[labelled]].mean())
    assert known.any()
    assert float(terms["task"]) == pytest.approx(expected, rel=1e-5)
    with mixing(model, partner, share):
        pass
    assert torch.equal(model(observed).logits, model.head(model(observed).hidden))  # no hook is left


def test_training_with_mixup_is_a_function_of_its_seed(train_toy: Callable[..., Fitted]) -> None:
    first, again, without = (train_toy("talk", mixup=alpha) for alpha in (0.4, 0.4, 0.0))
    weights = [list(f.trained.model.state_dict().values()) for f in (first, again, without)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))


def test_mixup_of_hidden_vectors_needs_a_model_that_gives_them(train_toy: Callable[..., Fitted]) -> None:
    with pytest.raises(ConfigError, match="set mixup_layer: input"):
        train_toy("toy", mixup=0.4, mixup_layer="hidden")
    with pytest.raises(ConfigError, match="'mixup' cannot be combined with loss 'triplet'"):
        train_toy("mlp", mixup=0.4, loss="triplet")
