"""Broad Mamba: an exact scan, missing turns that change no state, frozen features, and weights by confidence."""

from __future__ import annotations

import torch

from lacuna.models.broad_mamba import guidance
from lacuna.models.layers.state_space import StateSpace, scan
from small_systems import everything, small, without


def test_the_parallel_scan_is_the_recurrence() -> None:
    generator = torch.Generator().manual_seed(0)
    for length in (1, 2, 7, 16):
        decay, inputs = torch.rand(3, length, 4, generator=generator), torch.randn(3, length, 4, generator=generator)
        states, state = scan(decay, inputs), torch.zeros(3, 4)
        for t in range(length):
            state = decay[:, t] * state + inputs[:, t]
            torch.testing.assert_close(states[:, t], state)


def test_a_missing_turn_is_as_if_it_did_not_exist() -> None:
    """A turn of zeros would let the state decay."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = StateSpace(6, 3)
    x, present = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1)), torch.ones(2, 8, dtype=torch.bool)
    present[:, [2, 5]] = False
    kept = [0, 1, 3, 4, 6, 7]
    torch.testing.assert_close(model(x, present)[:, kept], model(x[:, kept], present[:, kept]))
    zeros = model(x * present.unsqueeze(2), torch.ones_like(present))
    assert (zeros[:, kept[2:]] - model(x, present)[:, kept[2:]]).abs().max() > 1e-3


def test_weights_are_the_shares_of_the_confidences_of_the_available_modalities() -> None:
    probability = torch.tensor([[[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]])
    available = torch.tensor([[True, True, False]])
    torch.testing.assert_close(guidance(probability.log(), available), torch.tensor([[0.8 / 1.4, 0.6 / 1.4, 0.0]]))
    torch.testing.assert_close(guidance(probability.log(), available, torch.tensor([1])), torch.tensor([[0.25, 0.75, 0.0]]))
    assert (guidance(probability.log(), torch.zeros_like(available)) == 0).all()


def test_a_missing_modality_has_weight_zero_and_random_features_are_frozen() -> None:
    model, batch = small("broad_mamba"), without(everything(), "audio")
    weights = model(batch).auxiliary["weights"]
    assert (weights[:, 1] == 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(batch)))
    frozen = {name for name, _ in model.named_buffers() if "broad" in name}
    assert len(frozen) == 2 * len(batch.features)
    assert not frozen & {name for name, _ in model.named_parameters()}
