"""Fill a missing modality by ridge regression from those that are there, then classify linearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Config, Prediction, Recognizer, register
from lacuna.models.layers.pooling import fill_frames, pooled


@dataclass(frozen=True)
class RidgeConfig(Config):
    """Settings of :class:`Ridge`.

    Attributes:
        penalty: added to the diagonal of the covariance of standardised features.
    """

    penalty: float = 0.3


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
        self._maps: dict[tuple[bool, ...], Tensor] = {}  # one solved system a pattern

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Covariance of the frame means, from the utterances in which both modalities of a pair are there."""
        width, modalities = len(self.centre), len(self.schema.dims)
        first, second = torch.zeros(width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
        count, pairs = torch.zeros(modalities, dtype=torch.float64), torch.zeros(modalities, modalities, dtype=torch.float64)
        for batch in batches():
            x, here = pooled(batch).double().cpu(), batch.available().double().cpu()
            first, second = first + x.sum(dim=0), second + x.T @ x
            count, pairs = count + here.sum(dim=0), pairs + here.T @ here
        owner = self.owner.cpu()
        centre = first / count.clamp_min(1)[owner]
        product = second / pairs.clamp_min(1)[owner][:, owner] - torch.outer(centre, centre)
        self.centre.copy_(centre)
        self.covariance.copy_(torch.where(pairs[owner][:, owner] > 1, product, torch.zeros(())))
        self._maps.clear()

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        super()._load_from_state_dict(*arguments, **named)
        self._maps.clear()

    def fill(self, batch: Batch) -> Tensor:
        """Frame means of all modalities, the missing ones estimated: (U, sum d)."""
        x, available = pooled(batch), batch.available()
        filled = x.clone()
        for pattern in torch.unique(available, dim=0):
            if pattern.all() or not pattern.any():
                continue
            rows = torch.nonzero((available == pattern).all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
            seen = pattern[self.owner]
            estimate = (x[rows][:, seen] - self.centre[seen]) @ self._map(pattern, seen) + self.centre[~seen]
            filled[rows[:, None], torch.nonzero(~seen).squeeze(1)] = estimate.to(x.dtype)
        return filled

    def _map(self, pattern: Tensor, seen: Tensor) -> Tensor:
        """(observed, missing) regression weights of one pattern of absence."""
        key = tuple(pattern.tolist())
        if key not in self._maps or self._maps[key].device != self.centre.device:
            s = self.covariance.double().cpu()
            there = seen.cpu()
            square = s[there][:, there] + self.config.penalty * torch.eye(int(there.sum()), dtype=torch.float64)
            self._maps[key] = torch.linalg.solve(square, s[there][:, ~there]).to(self.centre)
        return self._maps[key]

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and the estimated frames."""
        vectors = self.fill(batch)
        return Prediction(self.head(vectors), fill_frames(batch, vectors))
