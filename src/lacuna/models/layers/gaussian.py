"""Conditional mean of missing parts of a vector under one joint Gaussian."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lacuna.models.layers.pooling import full_precision


class JointGaussian(nn.Module):
    r"""Ridge regression of missing parts on observed parts, for every pattern of missing parts.

    .. math:: x_m = S_{mo} (S_{oo} + \lambda I)^{-1} x_o

    S is the covariance of all parts. Before :meth:`fit` it is the identity, and missing parts are 0.

    Args:
        sizes: units of each part; their sum is W, their number M.
        penalty: :math:`\lambda`, added to the diagonal of :math:`S_{oo}`, which may be singular without it.
    """

    centre: Tensor
    covariance: Tensor
    owner: Tensor

    def __init__(self, sizes: Sequence[int], penalty: float) -> None:
        super().__init__()
        self.penalty, width = penalty, sum(sizes)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("covariance", torch.eye(width))
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(list(sizes)))
        self.register_buffer("owner", owner, persistent=False)
        self._maps: dict[tuple[Any, ...], Tensor] = {}  # regression weights of each pattern, computed once

    def fit(self, rows: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Estimate mean and covariance; each pair of parts from the rows that have both.

        The means of a pair are taken over the same rows, because rows that lack a part can differ from the others. A matrix from
        different rows need not be positive semi-definite, so its negative eigenvalues are removed.

        Args:
            rows: batches of vectors (N, W), zeros where a part is missing, and (N, M) bool, whether a part is present.
        """
        owner, parts = self.owner.cpu(), int(self.owner[-1]) + 1
        width = len(owner)
        sums, products = torch.zeros(width, parts, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
        pairs = torch.zeros(parts, parts, dtype=torch.float64)
        for vectors, present in rows:
            x, present_float = vectors.double().cpu(), present.double().cpu()
            sums, products = sums + x.T @ present_float, products + x.T @ x
            pairs = pairs + present_float.T @ present_float
        n_both = pairs[owner][:, owner]  # (W, W) number of rows that have both
        mean = sums[:, owner] / n_both.clamp_min(1)  # (W, W) mean of the row's component over rows that have the column's part
        covariance = torch.where(n_both > 1, products / n_both.clamp_min(1) - mean * mean.T, torch.zeros((), dtype=torch.float64))
        self.centre.copy_(mean.diagonal())
        self.covariance.copy_(covariance if bool((pairs == pairs[0, 0]).all()) else positive(covariance))
        self._maps.clear()

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return completed vectors, in full precision under autocast; rows without any part do not change.

        Args:
            x: (N, W), zeros where a part is missing.
            present: (N, M) bool, whether a part is present.

        Returns:
            (N, W): present parts unchanged, estimates of the others.
        """
        with full_precision(x):
            filled, centre = x.clone(), self.centre.to(x)
            for pattern in torch.unique(present, dim=0):
                if pattern.all() or not pattern.any():
                    continue
                rows = torch.nonzero((present == pattern).all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
                observed = pattern[self.owner]
                estimate = (x[rows][:, observed] - centre[observed]) @ self._map(pattern, observed, x) + centre[~observed]
                filled[rows[:, None], torch.nonzero(~observed).squeeze(1)] = estimate
            return filled

    def _map(self, pattern: Tensor, observed: Tensor, like: Tensor) -> Tensor:
        """Return regression weights (observed, missing) of a pattern, with type and device of ``like``."""
        key = (like.dtype, like.device, *pattern.tolist())
        if key not in self._maps:
            covariance = self.covariance.double().cpu()
            kept = observed.cpu()
            square = covariance[kept][:, kept] + self.penalty * torch.eye(int(kept.sum()), dtype=torch.float64)
            solved: Tensor = torch.linalg.solve(square, covariance[kept][:, ~kept])
            self._maps[key] = solved.to(like)
        return self._maps[key]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> JointGaussian:
        self._maps.clear()  # device or dtype can change
        module: Any = super()
        module._apply(fn, recurse)
        return self

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        super()._load_from_state_dict(*arguments, **named)
        self._maps.clear()


def positive(matrix: Tensor) -> Tensor:
    """Return the nearest matrix without negative eigenvalues.

    Eigenvalues below a millionth of the largest one are set to that value, not to 0, so that rounding to float32 gives no
    negative ones.

    Args:
        matrix: (W, W) float64, symmetric.
    """
    values, vectors = torch.linalg.eigh(matrix)
    positive_part: Tensor = (vectors * values.clamp_min(max(0.0, 1e-6 * float(values[-1])))) @ vectors.T
    return positive_part
