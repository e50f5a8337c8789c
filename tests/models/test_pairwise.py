"""Pairwise contrastive pretraining: pairs that lack a member do not count, and any model's encoders can start from it."""

from __future__ import annotations

import pytest
import torch

from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build, list_models, model_class
from lacuna.models.layers.contrast import info_nce, pairwise_info_nce
from lacuna.models.layers.streams import ModalityEncoder
from lacuna.models.wrappers.pairwise import STAGE
from small_systems import everything, small, without
from standin import StandIn, generate

ENCODING = [name for name in list_models() if any(isinstance(m, ModalityEncoder) for m in small(name).modules())]


def test_the_loss_does_not_read_modalities_that_are_missing() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, available = torch.randn(8, 3, 4, generator=generator), torch.rand(8, 3, generator=generator) < 0.6
    loss = pairwise_info_nce(vectors, available, 0.07)
    assert torch.equal(pairwise_info_nce(torch.where(available.unsqueeze(2), vectors, 100.0), available, 0.07), loss)
    alone = torch.eye(3, dtype=torch.bool).repeat(2, 1)  # utterances of one modality are in no pair
    more = torch.cat([vectors, torch.randn(6, 3, 4, generator=generator)])
    torch.testing.assert_close(pairwise_info_nce(more, torch.cat([available, alone]), 0.07), loss)


def test_a_pair_that_no_utterance_has_is_left_out_of_the_mean() -> None:
    vectors = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(0))
    available = torch.tensor([True, True, False]).expand(8, 3)
    only = info_nce(vectors[:, 0], vectors[:, 1], available[:, 0], 0.07)
    torch.testing.assert_close(pairwise_info_nce(vectors, available, 0.07), only)
    assert pairwise_info_nce(vectors, torch.zeros(8, 3, dtype=torch.bool), 0.07) == 0


def test_many_models_can_start_from_it_and_the_others_refuse() -> None:
    assert {"hbaf", "bcaf", "misa", "m2fnet", "cm_roberta", "mose", "vaemo", "music2emo"} <= set(ENCODING)
    with pytest.raises(ConfigError, match="model 'mlp': setting 'mpuc' needs an encoder of each modality"):
        small("mlp", mpuc=1)
    one = generate(StandIn(dialogues=5, turns=2, dims=(("text", 6),)))
    with pytest.raises(ConfigError, match="needs two modalities; the corpus has only 'text'"):
        build("misa", one.schema(), mpuc=1, **model_class("misa").tiny)


@pytest.mark.parametrize("name", ENCODING)
def test_the_stage_trains_the_encoders_alone_and_the_model_follows(name: str) -> None:
    model, batch = small(name, mpuc=2), everything()
    first, *later = model.stages
    assert first.name == STAGE
    assert [epoch for epoch in range(4) if first.runs(epoch)] == [0, 1]
    assert all(stage.first >= 2 and not any(p.startswith("projections") for p in stage.parameters) for stage in later)
    assert [s.first for s in later] == [s.first + 2 for s in small(name).stages]
    sum(model.losses(batch, batch, STAGE).values()).backward()
    moved = {n for n, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert moved
    assert all(n.startswith(first.parameters) for n in moved)
    assert torch.equal(model(batch).logits, small(name)(batch).logits)


def after_pretraining(model: Recognizer, steps: int) -> list[float]:
    batch, first = everything(), model.stages[0]
    optimizer = torch.optim.Adam([p for n, p in model.named_parameters() if n.startswith(first.parameters)], lr=0.01)
    history = []
    for _ in range(steps):
        loss = model.losses(batch, batch, STAGE)["contrast"]
        history.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return history


@pytest.mark.parametrize("settings", [{}, {"ensemble": 2}, {"window": 1}])
def test_the_modalities_of_an_utterance_find_each_other(settings: dict[str, int]) -> None:
    history = after_pretraining(small("misa", mpuc=1, **settings), 25)
    assert history[-1] < 0.5 * history[0]


def test_without_any_pair_the_loss_is_zero_with_a_gradient() -> None:
    model, batch = small("misa", mpuc=1), without(everything(), "text", "audio")
    loss = model.losses(batch, batch, STAGE)["contrast"]
    loss.backward()
    assert loss == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
