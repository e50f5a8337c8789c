"""MISA: one encoder for all modalities, one for each, and losses that keep the two apart."""

from __future__ import annotations

import torch

from lacuna.models.misa import central_moment_discrepancy, difference_loss, similarity_loss
from small_systems import everything, small, without


def test_equal_vectors_of_two_modalities_have_one_invariant_and_two_specific_representations() -> None:
    model = small("misa")
    model.vectors.forward = lambda batch: torch.ones(len(batch), 3, model.config.width)  # type: ignore[method-assign]
    parts = model.parts(everything())  # type: ignore[operator]
    assert torch.equal(parts.invariant[:, 0], parts.invariant[:, 1])
    assert (parts.specific[:, 0] - parts.specific[:, 1]).abs().max() > 1e-3


def test_the_discrepancy_compares_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 3, generator=generator)
    assert central_moment_discrepancy(x, x[torch.randperm(400, generator=generator)]) < 1e-4
    assert central_moment_discrepancy(x, x * 0.5) > 0.1  # another mean
    assert central_moment_discrepancy(x, 0.5 + (x - 0.5) * 0.5) > 0.05  # the same mean, another variance


def test_a_missing_modality_is_in_no_loss() -> None:
    x, y = torch.rand(2, 6, 2, 4, generator=torch.Generator().manual_seed(0)).unbind()
    available = torch.ones(6, 2, dtype=torch.bool)
    available[:, 1] = False
    other_x, other_y = x.clone(), y.clone()
    other_x[:, 1], other_y[:, 1] = 9.0, -9.0
    assert similarity_loss(x, available) == 0
    assert torch.equal(difference_loss(x, y, available), difference_loss(other_x, other_y, available))
    orthogonal = torch.eye(4)[None, :2].expand(6, 2, 4)
    assert difference_loss(orthogonal, orthogonal.roll(2, dims=2), torch.ones(6, 2, dtype=torch.bool)) == 0


def test_orthogonality_can_be_reached_by_training() -> None:
    model, batch = small("misa"), without(everything(), "vision")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for _ in range(60):
        loss = model.losses(batch, batch, "task")["difference"]
        history.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert history[-1] < 0.5 * history[0]
