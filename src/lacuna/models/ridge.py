"""Fill a missing modality by ridge regression from those that are there, then classify linearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.pooling import fill_frames, full_precision, pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class RidgeConfig(Config):
    """Settings of :class:`Ridge`.

    Attributes:
        penalty: added to the diagonal of the covariance of standardised features, which alone may be singular.
    """

    penalty: float = 0.3
    space: ClassVar[Space] = {"penalty": Span(1e-3, 1e3, log=True)}

    def __post_init__(self) -> None:
        check_bounds("ridge", self, penalty=(1e-4, 1e6))


@register("ridge")
class Ridge(Recognizer):
    """The conditional mean of what is missing under one joint Gaussian, for every pattern of absence at once.

    With the regularised covariance S of all modalities side by side, ``x_missing = S_mo S_oo^-1 x_observed``.
    """

    Config = RidgeConfig
    config: RidgeConfig
    recovers = True
    centre: Tensor
    covariance: Tensor
    owner: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width = sum(schema.dims.values())
        self.head = nn.Linear(width, schema.target.width)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("covariance", torch.eye(width))
        sizes = torch.tensor(list(schema.dims.values()))
        self.register_buffer("owner", torch.repeat_interleave(torch.arange(len(sizes)), sizes), persistent=False)
        self._maps: dict[tuple[Any, ...], Tensor] = {}  # one solved system a pattern

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Covariance of the frame means, from the utterances in which both modalities of a pair are there.

        Both means of a pair are over those utterances too: who lacks a modality may well differ from who does not. A matrix
        put together from different utterances need not be a covariance, so its negative directions are cut off.
        """
        width, modalities = len(self.centre), len(self.schema.dims)
        first, second = torch.zeros(width, modalities, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
        pairs = torch.zeros(modalities, modalities, dtype=torch.float64)
        for batch in batches():
            x, here = pooled(batch).double().cpu(), batch.available().double().cpu()
            first, second = first + x.T @ here, second + x.T @ x
            pairs = pairs + here.T @ here
        owner = self.owner.cpu()
        n = pairs[owner][:, owner]  # (W, W) utterances that have both
        mean = first[:, owner] / n.clamp_min(1)  # (W, W) of the row's feature where the column's modality is there too
        covariance = torch.where(n > 1, second / n.clamp_min(1) - mean * mean.T, torch.zeros((), dtype=torch.float64))
        self.centre.copy_(mean.diagonal())
        self.covariance.copy_(covariance if bool((pairs == pairs[0, 0]).all()) else positive(covariance))
        self._maps.clear()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Ridge:
        self._maps.clear()  # another device or type of number
        module: Any = super()
        module._apply(fn, recurse)
        return self

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        super()._load_from_state_dict(*arguments, **named)
        self._maps.clear()

    def fill(self, batch: Batch) -> Tensor:
        """Frame means of all modalities, the missing ones estimated: (U, sum d); not rounded by autocast."""
        x = pooled(batch)
        with full_precision(x):
            return self._fill(x, batch.available())

    def _fill(self, x: Tensor, available: Tensor) -> Tensor:
        filled, centre = x.clone(), self.centre.to(x)
        for pattern in torch.unique(available, dim=0):
            if pattern.all() or not pattern.any():
                continue
            rows = torch.nonzero((available == pattern).all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
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
            square = s[there][:, there] + self.config.penalty * torch.eye(int(there.sum()), dtype=torch.float64)
            solved: Tensor = torch.linalg.solve(square, s[there][:, ~there])
            self._maps[key] = solved.to(like)
        return self._maps[key]

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and the estimated frames."""
        vectors = self.fill(batch)
        return Prediction(self.head(vectors), fill_frames(batch, vectors))


def positive(matrix: Tensor) -> Tensor:
    """The nearest matrix without negative eigenvalues.

    Args:
        matrix: (W, W) float64, symmetric. What is below a millionth of its largest eigenvalue becomes that, not 0, so that
            rounding the result to float32 gives no negative ones again.
    """
    values, vectors = torch.linalg.eigh(matrix)
    positive_part: Tensor = (vectors * values.clamp_min(max(0.0, 1e-6 * float(values[-1])))) @ vectors.T
    return positive_part
