"""BCAF: correlated channels are read most, and connections are learned from pairs only."""

from __future__ import annotations

import torch

from lacuna.models.bcaf import channel_weights, correlated
from small_systems import everything, small, without


def test_a_channel_reads_the_channel_that_varies_with_it_most() -> None:
    x = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0))
    y = 3 * x[:, :, [2, 0, 3, 1]]  # channel 0 of y varies with channel 2 of x
    weights = channel_weights(x, y, torch.ones(2, 50, dtype=torch.bool))
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 4))
    assert weights.argmax(dim=2).tolist() == [[1, 3, 0, 2]] * 2


def test_a_missing_modality_adds_nothing_and_is_in_no_covariance() -> None:
    x, y = torch.randn(2, 2, 9, 4, generator=torch.Generator().manual_seed(0)).unbind()
    both = torch.arange(9).expand(2, 9) < 6
    other = torch.where(both[..., None], y, 1e3)
    assert torch.equal(channel_weights(x, y, both), channel_weights(x, other, both))
    assert (correlated(x, other, both)[:, 6:] == 0).all()
    assert (correlated(x, other, both)[:, :6] != 0).all()


def test_a_decoder_learns_from_utterances_that_have_both_modalities() -> None:
    model, batch = small("bcaf"), without(everything(), "audio")
    model.losses(batch, batch, "task")["connection"].backward()
    for i, decoders in enumerate(model.decode):
        for j, decode in enumerate(decoders):
            learned = bool((decode.weight.grad != 0).any())
            assert learned == (1 not in {i, j}), "audio is the second modality"
