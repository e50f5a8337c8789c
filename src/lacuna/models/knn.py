"""Fill a missing modality from the most similar training utterances, then classify linearly."""

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
class KNNConfig(Config):
    """Settings of :class:`KNN`.

    Attributes:
        neighbours: how many training utterances are averaged.
        bank: at most so many training utterances are kept, those with the smallest keys (a fixed random choice).
    """

    neighbours: int = 15
    bank: int = 1024
    space: ClassVar[Space] = {"neighbours": Span(3, 200, log=True)}

    def __post_init__(self) -> None:
        check_bounds("knn", self, neighbours=(1, 1_000_000), bank=(1, 1_000_000))


@register(
    "knn",
    title="k-nearest-neighbour imputation and a linear classifier",
    task="baseline",
    reference="Troyanskaya et al., Missing value estimation methods for DNA microarrays, Bioinformatics 2001",
)
class KNN(Recognizer):
    """The mean of the missing modality over the nearest training utterances, by distance in what is observed.

    An utterance of the bank is never its own neighbour: in training that would hand it its own hidden frames.
    """

    Config = KNNConfig
    config: KNNConfig
    recovers = True
    vectors: Tensor
    available: Tensor
    keys: Tensor
    size: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width, modalities, rows = sum(schema.dims.values()), len(schema.dims), self.config.bank
        self.head = nn.Linear(width, schema.target.width)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("vectors", torch.zeros(rows, width))
        self.register_buffer("available", torch.zeros(rows, modalities, dtype=torch.bool))
        self.register_buffer("keys", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("size", torch.zeros((), dtype=torch.int64))
        self._sizes = list(schema.dims.values())

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Keep the bank."""
        width, modalities = self.vectors.shape[1], len(self._sizes)
        keys, vectors, available = torch.zeros(0, dtype=torch.int64), torch.zeros(0, width), torch.zeros(0, modalities).bool()
        for batch in batches():
            keys = torch.cat([keys, batch.key.cpu()])
            order = torch.argsort(keys)[: self.config.bank]
            vectors = torch.cat([vectors, pooled(batch).cpu()])[order]
            available = torch.cat([available, batch.available().cpu()])[order]
            keys = keys[order]
        for buffer, values in ((self.keys, keys), (self.vectors, vectors), (self.available, available)):
            buffer[: len(values)].copy_(values)
        self.size.fill_(len(keys))

    def fill(self, batch: Batch) -> Tensor:
        """Frame means of all modalities, the missing ones estimated: (U, sum d); not rounded by autocast."""
        x = pooled(batch)
        with full_precision(x):
            return self._fill(batch, x)

    def _fill(self, batch: Batch, x: Tensor) -> Tensor:
        available = batch.available()
        lacking = torch.nonzero(available.any(dim=1) & ~available.all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
        if not len(lacking):
            return x
        n = int(self.size)
        seen, bank = available[lacking], self.available[:n]  # (R, M), (n, M)
        queries, rows = (torch.split(v, self._sizes, dim=1) for v in (x[lacking], self.vectors[:n].to(x)))
        distance = torch.stack([s[:, None] * _squared(q, r) for q, r, s in zip(queries, rows, seen.T, strict=True)]).sum(dim=0)
        unlike = seen.float() @ (~bank).float().T > 0  # (R, n): the row lacks something that is observed here
        distance = distance.masked_fill(unlike | (batch.key[lacking, None] == self.keys[:n]), torch.inf)
        filled = list(torch.split(x.clone(), self._sizes, dim=1))
        for m, values in enumerate(rows):
            need = ~seen[:, m]
            if need.any():
                near = distance[need].masked_fill(~bank[:, m], torch.inf)
                filled[m][lacking[need]] = self._mean(near, values).to(x.dtype)
        return torch.cat(filled, dim=1)

    def _mean(self, distance: Tensor, values: Tensor) -> Tensor:
        """Mean of the nearest rows: (R, n) distances and (n, d) values -> (R, d); zeros if no row is eligible."""
        near, index = distance.topk(min(self.config.neighbours, distance.shape[1]), largest=False)
        weight = torch.isfinite(near).float()  # (R, k)
        return (values[index] * weight.unsqueeze(-1)).sum(dim=1) / weight.sum(dim=1, keepdim=True).clamp_min(1)

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and the estimated frames."""
        vectors = self.fill(batch)
        return Prediction(self.head(vectors), fill_frames(batch, vectors))


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances: (R, d) and (n, d) -> (R, n)."""
    return (a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1) - 2 * a @ b.T).clamp_min(0)
