"""The conditional mean of what is missing under one joint Gaussian."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lacuna.models.layers.pooling import full_precision


class JointGaussian(nn.Module):
    """Ridge regression of what is missing on what is there, for every pattern of absence at once.

    With the covariance S of all parts side by side and a penalty on its diagonal, ``x_missing = S_mo S_oo^-1 x_observed``. Before
    :meth:`fit` S is the identity, and what is missing is 0.

    Args:
        sizes: of the parts.
        penalty: added to the diagonal of S_oo, which alone may be singular.
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
        self._maps: dict[tuple[Any, ...], Tensor] = {}  # one solved system a pattern

    def fit(self, rows: Iterable[tuple[Tensor, Tensor]]) -> None:
        """The covariance, from the rows in which both parts of a pair are there.

        Both means of a pair are over those rows too: what lacks a part may well differ from what does not. A matrix put together
        from different rows need not be a covariance, so its negative directions are cut off.

        Args:
            rows: (N, W) vectors with zeros where a part is missing, and (N, M) bool: the part is there.
        """
        owner, parts = self.owner.cpu(), int(self.owner[-1]) + 1
        width = len(owner)
        first, second = torch.zeros(width, parts, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
        pairs = torch.zeros(parts, parts, dtype=torch.float64)
        for vectors, there in rows:
            x, here = vectors.double().cpu(), there.double().cpu()
            first, second = first + x.T @ here, second + x.T @ x
            pairs = pairs + here.T @ here
        n = pairs[owner][:, owner]  # (W, W) rows that have both
        mean = first[:, owner] / n.clamp_min(1)  # (W, W) of the line's number where the column's part is there too
        covariance = torch.where(n > 1, second / n.clamp_min(1) - mean * mean.T, torch.zeros((), dtype=torch.float64))
        self.centre.copy_(mean.diagonal())
        self.covariance.copy_(covariance if bool((pairs == pairs[0, 0]).all()) else positive(covariance))
        self._maps.clear()

    def forward(self, x: Tensor, here: Tensor) -> Tensor:
        """Vectors without holes; not rounded by autocast. A row of which nothing is there comes back as it is.

        Args:
            x: (N, W), zeros where a part is missing.
            here: (N, M) bool: the part is there.

        Returns:
            (N, W): the parts that are there bit for bit, and estimates of the others.
        """
        with full_precision(x):
            filled, centre = x.clone(), self.centre.to(x)
            for pattern in torch.unique(here, dim=0):
                if pattern.all() or not pattern.any():
                    continue
                rows = torch.nonzero((here == pattern).all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
                seen = pattern[self.owner]
                estimate = (x[rows][:, seen] - centre[seen]) @ self._map(pattern, seen, x) + centre[~seen]
                filled[rows[:, None], torch.nonzero(~seen).squeeze(1)] = estimate
            return filled

    def _map(self, pattern: Tensor, seen: Tensor, like: Tensor) -> Tensor:
        """(observed, missing) regression weights of one pattern of absence, as numbers of the same type and place as ``like``."""
        key = (like.dtype, like.device, *pattern.tolist())
        if key not in self._maps:
            s = self.covariance.double().cpu()
            there = seen.cpu()
            square = s[there][:, there] + self.penalty * torch.eye(int(there.sum()), dtype=torch.float64)
            solved: Tensor = torch.linalg.solve(square, s[there][:, ~there])
            self._maps[key] = solved.to(like)
        return self._maps[key]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> JointGaussian:
        self._maps.clear()  # another device or type of number
        module: Any = super()
        module._apply(fn, recurse)
        return self

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        super()._load_from_state_dict(*arguments, **named)
        self._maps.clear()


def positive(matrix: Tensor) -> Tensor:
    """The nearest matrix without negative eigenvalues.

    Args:
        matrix: (W, W) float64, symmetric. What is below a millionth of its largest eigenvalue becomes that, not 0, so that
            rounding the result to float32 gives no negative ones again.
    """
    values, vectors = torch.linalg.eigh(matrix)
    positive_part: Tensor = (vectors * values.clamp_min(max(0.0, 1e-6 * float(values[-1])))) @ vectors.T
    return positive_part
