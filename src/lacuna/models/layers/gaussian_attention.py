"""Gaussian adaptive attention over the features of a vector, a block for any model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_VARIANCE = 1e-5


class GaussianAttention(nn.Module):
    r"""Weight the features of each vector by a learned product of Gaussians (GAAM: Ioannides et al., arXiv 2401.11143).

    The features are split into heads. With mean :math:`\mu` and standard deviation :math:`\sigma` of the features of a head,

    .. math:: w_i \propto \prod_g \exp\left(-\frac{((x_i - \mu - \delta_g) / \sigma)^2}{2 c_g^2}\right), \quad \sum_i w_i = 1

    with learned offsets :math:`\delta_g` and scales :math:`c_g` of each head. The factor :math:`(2 \pi c_g^2)^{-1/2}` cancels in
    the sum.

    Args:
        width: n, number of features; a multiple of ``heads``.
        heads: H.
        gaussians: G, factors of the product.
    """

    def __init__(self, width: int, heads: int = 1, gaussians: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.offset = nn.Parameter(torch.zeros(heads, gaussians))
        self.log_scale = nn.Parameter(torch.randn(heads, gaussians))

    def weights(self, x: Tensor) -> Tensor:
        """Return the weights (..., n) of vectors (..., n); those of each head are positive and sum to 1."""
        parts = x.reshape(*x.shape[:-1], self.heads, -1).float()  # (..., n) -> (..., H, n / H)
        centred = parts - parts.mean(dim=-1, keepdim=True)
        deviation = (parts.var(dim=-1, correction=0, keepdim=True) + _LEAST_VARIANCE).sqrt()  # (..., H, 1)
        distance = (centred.unsqueeze(-2) - self.offset.unsqueeze(-1)) / deviation.unsqueeze(-2)  # (..., H, G, n / H)
        logits = -(distance.square() * (-2 * self.log_scale).exp().unsqueeze(-1)).sum(dim=-2) / 2  # (..., H, n / H)
        weights: Tensor = logits.softmax(dim=-1).flatten(-2).to(x)  # (..., H, n / H) -> (..., n)
        return weights

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the weighted vectors (..., n) where ``present`` (...) bool, the vectors unchanged elsewhere (padding)."""
        return torch.where(present.unsqueeze(-1), x * self.weights(x), x)


def importance(weights: Tensor, present: Tensor) -> Tensor:
    """Return the importance factor (n,) of each feature: its mean weight, scaled so that the least is 0 and the most is 1.

    Args:
        weights: (..., n) of :meth:`GaussianAttention.weights`.
        present: (...) bool, the vectors that are counted; at least one.
    """
    mean = weights[present].mean(dim=0)
    return (mean - mean.min()) / (mean.max() - mean.min()).clamp_min(1e-12)
