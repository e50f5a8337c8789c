"""GAAM: weights that sum to one, and padding that passes unchanged."""

from __future__ import annotations

import pytest
import torch

from lacuna.models.layers.gaussian_attention import GaussianAttention, importance


@pytest.fixture
def block() -> GaussianAttention:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return GaussianAttention(12, heads=3, gaussians=2)


def frames() -> torch.Tensor:
    return torch.randn(5, 4, 12, generator=torch.Generator().manual_seed(1))


def test_the_weights_of_each_head_sum_to_one_for_any_scale_of_the_features(block: GaussianAttention) -> None:
    for x in (frames(), 1e4 * frames(), torch.zeros(5, 4, 12)):
        weights = block.weights(x)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.unflatten(-1, (3, 4)).sum(dim=-1), torch.ones(5, 4, 3))


def test_the_weights_are_the_product_of_gaussians_of_the_paper(block: GaussianAttention) -> None:
    with torch.no_grad():
        block.offset.normal_(generator=torch.Generator().manual_seed(2))
    x = frames()[0, 0].double()
    head = x[4:8]
    standard = (head.var(correction=0) + 1e-5).sqrt()
    density = torch.ones(4, dtype=torch.float64)
    for offset, scale in zip(block.offset[1].double(), block.log_scale[1].double().exp(), strict=True):
        density *= torch.exp(torch.distributions.Normal(0, scale).log_prob((head - head.mean() - offset) / standard))
    torch.testing.assert_close(block.weights(frames())[0, 0, 4:8].double(), density / density.sum(), rtol=1e-4, atol=1e-6)


def test_padding_passes_unchanged(block: GaussianAttention) -> None:
    x, present = frames(), torch.ones(5, 4, dtype=torch.bool)
    present[:, 2:] = False
    y = block(x, present)
    assert torch.equal(y[:, 2:], x[:, 2:])
    assert (y[:, :2] - x[:, :2]).abs().amax(dim=-1).min() > 0


def test_the_importance_factor_is_between_zero_and_one_and_reads_present_vectors_only(block: GaussianAttention) -> None:
    weights, present = block.weights(frames()).detach(), torch.ones(5, 4, dtype=torch.bool)
    present[1] = False
    factor = importance(weights, present)
    assert (float(factor.min()), float(factor.max())) == (0.0, 1.0)
    weights[1] = 7.0
    assert torch.equal(importance(weights, present), factor)
