"""Nearest-neighbour imputation of missing modalities, then a linear classifier."""

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
        neighbours: number of training utterances that are averaged.
        bank: largest number of training utterances that are stored: those with the smallest keys, a fixed random choice.
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
    """Nearest-neighbour imputation (Troyanskaya et al., Bioinformatics 2001) and a linear classifier.

    A missing modality is the mean over the nearest training utterances, by Euclidean distance of the observed frame means. An
    utterance is never its own neighbour; otherwise training would show it its own hidden frames.
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
        """Store the bank: keys, frame means and present modalities of training utterances."""
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
        """Return frame means (U, sum of d_m) of all modalities, missing ones estimated, in full precision under autocast."""
        means = pooled(batch)
        with full_precision(means):
            return self._fill(batch, means)

    def _fill(self, batch: Batch, means: Tensor) -> Tensor:
        available = batch.available()
        incomplete = torch.nonzero(available.any(dim=1) & ~available.all(dim=1)).squeeze(1)  # (R, 1) -> (R,)
        if not len(incomplete):
            return means
        n_bank = int(self.size)
        observed, bank_available = available[incomplete], self.available[:n_bank]  # (R, M), (n, M)
        queries, bank_means = (torch.split(v, self._sizes, dim=1) for v in (means[incomplete], self.vectors[:n_bank].to(means)))
        distance = torch.stack(
            [column[:, None] * _squared(query, row) for query, row, column in zip(queries, bank_means, observed.T, strict=True)]
        ).sum(dim=0)
        ineligible = observed.float() @ (~bank_available).float().T > 0  # (R, n): the bank row lacks an observed modality
        distance = distance.masked_fill(ineligible | (batch.key[incomplete, None] == self.keys[:n_bank]), torch.inf)
        filled = list(torch.split(means.clone(), self._sizes, dim=1))
        for m, values in enumerate(bank_means):
            missing = ~observed[:, m]
            if missing.any():
                eligible = distance[missing].masked_fill(~bank_available[:, m], torch.inf)
                filled[m][incomplete[missing]] = self._mean(eligible, values).to(means.dtype)
        return torch.cat(filled, dim=1)

    def _mean(self, distance: Tensor, values: Tensor) -> Tensor:
        """Return the mean of the nearest rows: distances (R, n), values (n, d) -> (R, d); zeros if all distances are infinite."""
        near, index = distance.topk(min(self.config.neighbours, distance.shape[1]), largest=False)
        weight = torch.isfinite(near).float()  # (R, k)
        return (values[index] * weight.unsqueeze(-1)).sum(dim=1) / weight.sum(dim=1, keepdim=True).clamp_min(1)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and estimated frames."""
        vectors = self.fill(batch)
        return Prediction(self.head(vectors), fill_frames(batch, vectors))


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Return squared Euclidean distances: (R, d) and (n, d) -> (R, n)."""
    return (a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1) - 2 * a @ b.T).clamp_min(0)
