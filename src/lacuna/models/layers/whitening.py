"""A fixed, invertible code of what a modality says about an utterance."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.layers.pooling import masked_mean, pooled

FLOOR = 1e-3  # directions with a smaller share of the largest variance are not blown up to unit variance


class Whitening(nn.Module):
    """PCA-whitened frame means of each modality: the largest ``width`` directions, each with unit variance in training.

    Args:
        schema: its modalities.
        width: most directions a modality.

    Attributes:
        owner: (sum of widths,) int64 the modality of each number.
        share: (sum of widths,) its share of what is kept of the variance of its modality: squared errors that are weighted by it
            are those of the frame means themselves, not of directions that hold next to nothing and are blown up.
    """

    owner: Tensor
    share: Tensor

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()
        self.widths = [min(width, dim) for dim in schema.dims.values()]
        self._dims = list(schema.dims.values())
        for m, (dim, own) in enumerate(zip(self._dims, self.widths, strict=True)):
            self.register_buffer(f"mean{m}", torch.zeros(dim))
            self.register_buffer(f"basis{m}", torch.eye(dim, own))
            self.register_buffer(f"scale{m}", torch.ones(own))
        sizes = torch.tensor(self.widths)
        self.register_buffer("owner", torch.repeat_interleave(torch.arange(len(sizes)), sizes), persistent=False)
        self.register_buffer("share", (1 / sizes)[self.owner])

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """One pass over the complete training batches; an utterance counts for the modalities that it has."""
        sums = [torch.zeros(dim, dtype=torch.float64) for dim in self._dims]
        squares = [torch.zeros(dim, dim, dtype=torch.float64) for dim in self._dims]
        number = torch.zeros(len(self._dims), dtype=torch.float64)
        for batch in batches():
            number += batch.available().sum(dim=0).cpu()
            for m, (name, frames) in enumerate(batch.features.items()):
                x = masked_mean(frames, batch.present[name]).double().cpu()  # 0 where absent
                sums[m] += x.sum(dim=0)
                squares[m] += x.T @ x
        for m, own in enumerate(self.widths):
            n = number[m].clamp_min(1)
            mean = sums[m] / n
            values, vectors = torch.linalg.eigh(squares[m] / n - mean[:, None] * mean)
            values, vectors = values.flip(0)[:own], vectors.flip(1)[:, :own]
            values = values.clamp_min(FLOOR * values[0]) if values[0] > 0 else torch.ones_like(values)
            vectors = vectors * vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)).sign()
            for buffer, found in (("mean", mean), ("basis", vectors), ("scale", values.sqrt())):
                getattr(self, f"{buffer}{m}").copy_(found)
            self.share[self.owner == m] = (values / values.sum()).to(self.share)

    def forward(self, batch: Batch) -> Tensor:
        """(U, sum of widths), zeros for modalities that are not observed."""
        parts = torch.split(pooled(batch), self._dims, dim=1)
        coded = [(x - self._of("mean", m)) @ self._of("basis", m) / self._of("scale", m) for m, x in enumerate(parts)]
        return torch.cat(coded, dim=1) * self.columns(batch.available())

    def back(self, coded: Tensor) -> Tensor:
        """(U, sum of widths) -> (U, sum of d_m): standardised frame means again, less the directions that were dropped."""
        parts = torch.split(coded, self.widths, dim=1)
        whole = [(z * self._of("scale", m)) @ self._of("basis", m).T + self._of("mean", m) for m, z in enumerate(parts)]
        return torch.cat(whole, dim=1)

    def columns(self, modalities: Tensor) -> Tensor:
        """(..., M) -> (..., sum of widths): what is said of a modality said of each of its numbers."""
        return modalities[..., self.owner]

    def _of(self, name: str, m: int) -> Tensor:
        buffer: Tensor = getattr(self, f"{name}{m}")
        return buffer
