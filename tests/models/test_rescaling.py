"""Attention re-scaling: the shares of the modalities reach their target, and off changes no bit."""

from __future__ import annotations

import pytest
import torch

from lacuna.models import list_models, model_class
from lacuna.models.layers.rescaling import Rescaling, RescalingConfig
from small_systems import everything, small, without

RESCALED = [name for name in list_models() if issubclass(model_class(name).Config, RescalingConfig)]
LENGTHS = (3, 2, 4)


def attention(seed: int = 0, gone: int | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Weights (U, H, L, K) of a softmax over the keys of three modalities, one of which may be missing."""
    generator = torch.Generator().manual_seed(seed)
    keys = [torch.rand(5, length, generator=generator) < 0.7 for length in LENGTHS]
    for k in keys:
        k[:, 0] = True
    if gone is not None:
        keys[gone][:] = False
    logits = 3 * torch.randn(5, 2, 6, sum(LENGTHS), generator=generator)
    return logits.masked_fill(~torch.cat(keys, dim=1)[:, None, None], -torch.inf).softmax(dim=-1), keys


def masses(weights: torch.Tensor) -> torch.Tensor:
    return torch.stack([part.sum(dim=-1) for part in torch.split(weights, list(LENGTHS), dim=-1)], dim=-1)


@pytest.mark.parametrize("gone", [None, 0, 2])
def test_the_modalities_that_have_keys_get_equal_attention(gone: int | None) -> None:
    weights, keys = attention(gone=gone)
    after = masses(Rescaling(1.0).over(keys)(weights))
    target = torch.tensor([0.0 if m == gone else 1 / (3 if gone is None else 2) for m in range(3)])
    assert (masses(weights) - target).abs().max() > 0.3
    torch.testing.assert_close(after, target.expand_as(after))


def test_weights_within_a_modality_keep_their_ratio_and_the_total_is_kept() -> None:
    weights, keys = attention()
    after = Rescaling(0.4).over(keys)(0.8 * weights)  # a further key has a fifth
    torch.testing.assert_close(after.sum(dim=-1), torch.full(after.shape[:-1], 0.8))
    for old, new in zip(*(torch.split(w, list(LENGTHS), dim=-1) for w in (weights, after)), strict=True):
        torch.testing.assert_close(new / new.sum(dim=-1, keepdim=True), old / old.sum(dim=-1, keepdim=True))
    before, between = masses(weights), masses(after) / 0.8
    assert ((between.amax(dim=-1) / between.amin(dim=-1)) < (before.amax(dim=-1) / before.amin(dim=-1))).all()


def test_shares_below_the_ratio_stay_and_one_modality_alone_does_too() -> None:
    weights, keys = attention()
    mass = masses(weights)
    ratio = mass.amax(dim=-1) / mass.amin(dim=-1)
    above = float(ratio.median())
    changed = (masses(Rescaling(1.0, above).over(keys)(weights)) - mass).abs().amax(dim=-1) > 1e-4
    assert torch.equal(changed, ratio > above)
    alone = [torch.ones(5, 3, dtype=torch.bool), *(torch.zeros(5, n, dtype=torch.bool) for n in LENGTHS[1:])]
    only = torch.cat([weights[..., :3].softmax(dim=-1), torch.zeros(5, 2, 6, 6)], dim=-1)
    torch.testing.assert_close(Rescaling(1.0).over(alone)(only), only)


def test_attentions_with_a_softmax_each_are_balanced_too() -> None:
    weights, keys = attention()
    parts = list(torch.split(weights, list(LENGTHS), dim=-1))
    changed = [rescale(w) for rescale, w in zip(Rescaling(1.0).between(parts, keys), parts, strict=True)]
    torch.testing.assert_close(torch.cat(changed, dim=-1), Rescaling(1.0).over(keys)(weights))


def test_the_field_has_at_least_three_models_with_the_setting() -> None:
    assert {"mose", "mult", "cm_roberta", "affectgpt_prefusion"} <= set(RESCALED)


@pytest.mark.parametrize("name", RESCALED)
def test_it_changes_answers_at_inference_only(name: str) -> None:
    batch = everything()
    off, on = small(name, dropout=0.0), small(name, dropout=0.0, rescale=1.0)
    assert (off(batch).logits - on(batch).logits).abs().max() > 1e-5
    assert torch.equal(off.train()(batch).logits, on.train()(batch).logits)
    assert torch.equal(off.eval()(batch).logits, off.train()(batch).logits)


@pytest.mark.parametrize("name", RESCALED)
def test_shares_that_may_differ_by_any_ratio_give_the_answer_without_it(name: str) -> None:
    for batch in (everything(), without(everything(), "audio"), without(everything(), "text", "audio", "vision")):
        expected = small(name)(batch).logits
        torch.testing.assert_close(small(name, rescale=1.0, rescale_above=1e6)(batch).logits, expected, rtol=1e-4, atol=1e-5)
        assert torch.isfinite(small(name, rescale=1.0)(batch).logits).all()
