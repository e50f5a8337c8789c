"""Attentive BiGRU: one modality, the whole dialogue, and a bias between speakers."""

from __future__ import annotations

import torch

from lacuna.models.attentive_bigru import SpeakerAttention
from small_systems import everything, small, without


def test_the_other_modalities_do_not_matter() -> None:
    model, batch = small("attentive_bigru", modality="audio"), everything()
    assert torch.equal(model(batch).logits, model(without(batch, "text", "vision")).logits)
    assert (model(batch).logits - model(without(batch, "audio")).logits).abs().max() > 1e-3


def test_the_bias_moves_attention_to_turns_of_the_same_speaker() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        attention = SpeakerAttention(6)
    states = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    speaker, keys = torch.tensor([[0, 1, 0, 1, 0]] * 2), torch.ones(2, 5, dtype=torch.bool)
    keys[:, 3] = False
    same = (speaker[:, :, None] == speaker[:, None]) & keys[:, None]
    with torch.no_grad():
        before = attention.weights(states, speaker, keys)
        attention.bias[1] = 3.0
        after = attention.weights(states, speaker, keys)
    for weights in (before, after):
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 5))
        assert (weights[:, :, 3] == 0).all(), "a turn without the modality is not attended to"
    assert (after[same] > before[same]).all()
