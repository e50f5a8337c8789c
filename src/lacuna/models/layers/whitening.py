"""Whitening: a fixed, invertible code of the frame means of each modality."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.layers.pooling import masked_mean, pooled

FLOOR = 1e-3  # variances below this share of the largest one are not scaled up to 1


class Whitening(nn.Module):
    r"""PCA-whitened frame means of each modality: the ``width`` largest principal directions, with unit variance in training.

    .. math:: z = diag(s)^{-1} V^T (x - \mu)

    Args:
        schema: modalities.
        width: largest number of directions of a modality.

    Attributes:
        owner: (sum of widths,) int64, modality of each component.
        share: (sum of widths,) share of each component in the kept variance of its modality. Squared errors weighted by it are
            those of the frame means, so directions of small variance do not dominate.
    """

    owner: Tensor
    share: Tensor

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()
        self.widths = [min(width, dim) for dim in schema.dims.values()]
        self._dims = list(schema.dims.values())
        for m, (dim, kept) in enumerate(zip(self._dims, self.widths, strict=True)):
            self.register_buffer(f"mean{m}", torch.zeros(dim))
            self.register_buffer(f"basis{m}", torch.eye(dim, kept))
            self.register_buffer(f"scale{m}", torch.ones(kept))
        sizes = torch.tensor(self.widths)
        self.register_buffer("owner", torch.repeat_interleave(torch.arange(len(sizes)), sizes), persistent=False)
        self.register_buffer("share", (1 / sizes)[self.owner])

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Estimate the code in one pass over the complete training batches, each modality from the utterances that have it."""
        sums = [torch.zeros(dim, dtype=torch.float64) for dim in self._dims]
        squares = [torch.zeros(dim, dim, dtype=torch.float64) for dim in self._dims]
        count = torch.zeros(len(self._dims), dtype=torch.float64)
        for batch in batches():
            count += batch.available().sum(dim=0).cpu()
            for m, (name, frames) in enumerate(batch.features.items()):
                means = masked_mean(frames, batch.present[name]).double().cpu()  # 0 where absent
                sums[m] += means.sum(dim=0)
                squares[m] += means.T @ means
        for m, kept in enumerate(self.widths):
            n_utterances = count[m].clamp_min(1)
            mean = sums[m] / n_utterances
            values, vectors = torch.linalg.eigh(squares[m] / n_utterances - mean[:, None] * mean)
            values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
            values = values.clamp_min(FLOOR * values[0]) if values[0] > 0 else torch.ones_like(values)
            vectors = vectors * vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)).sign()
            for buffer, values_m in (("mean", mean), ("basis", vectors), ("scale", values.sqrt())):
                getattr(self, f"{buffer}{m}").copy_(values_m)
            self.share[self.owner == m] = (values / values.sum()).to(self.share)

    def forward(self, batch: Batch) -> Tensor:
        """Return codes (U, sum of widths), zeros for missing modalities."""
        parts = torch.split(pooled(batch), self._dims, dim=1)
        coded = [(means - self._of("mean", m)) @ self._of("basis", m) / self._of("scale", m) for m, means in enumerate(parts)]
        return torch.cat(coded, dim=1) * self.columns(batch.available())

    def back(self, coded: Tensor) -> Tensor:
        """Return frame means (U, sum of d_m) from codes (U, sum of widths), without the dropped directions."""
        parts = torch.split(coded, self.widths, dim=1)
        decoded = [(z * self._of("scale", m)) @ self._of("basis", m).T + self._of("mean", m) for m, z in enumerate(parts)]
        return torch.cat(decoded, dim=1)

    def columns(self, modalities: Tensor) -> Tensor:
        """Return (..., sum of widths) from (..., M): the value of each modality repeated for its components."""
        return modalities[..., self.owner]

    def _of(self, name: str, m: int) -> Tensor:
        buffer: Tensor = getattr(self, f"{name}{m}")
        return buffer
