"""Feature values as words: each column has as many words as bins, and the bins are fitted on the training split."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.models.layers.pooling import masked_mean


class ValueWords(nn.Module):
    """Turn the frame means of modalities into words: column 3 of the face is "low", "middle" or "high".

    The bins of a column hold equal shares of the training utterances that have its modality. An absent modality has no word.

    Args:
        dims: width of a frame by modality; only these modalities are read.
        bins: number of words of a column.
    """

    edges: Tensor

    def __init__(self, dims: dict[str, int], bins: int) -> None:
        super().__init__()
        self.dims, self.bins = dims, bins
        self.number = sum(dims.values()) * bins  # of different words
        self.register_buffer("edges", torch.zeros(sum(dims.values()), bins - 1))

    def values(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the frame means (U, D) and whether the modality of a column is present (U, D) bool."""
        if not self.dims:
            nothing = batch.key.new_zeros(len(batch), 0)
            return nothing.float(), nothing.bool()
        means = [masked_mean(batch.features[m], batch.present[m]) for m in self.dims]
        present = [batch.present[m].any(dim=1, keepdim=True).expand(-1, dim) for m, dim in self.dims.items()]
        return torch.cat(means, dim=1), torch.cat(present, dim=1)

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set the bins from the complete training batches."""
        pairs = [self.values(batch) for batch in batches()]
        values, present = (torch.cat(parts).cpu().numpy() for parts in zip(*pairs, strict=True))  # (N, D) each
        shares = np.arange(1, self.bins) / self.bins
        first = 0
        for dim in self.dims.values():
            rows = values[present[:, first], first : first + dim]
            if len(rows):
                self.edges[first : first + dim] = torch.from_numpy(np.quantile(rows, shares, axis=0).T)
            first += dim

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the word of each column (U, D) int64, from 0 to ``number`` - 1, and whether it is said (U, D) bool."""
        values, present = self.values(batch)
        columns = torch.arange(len(self.edges), device=values.device)
        return columns * self.bins + (values.unsqueeze(2) > self.edges).sum(dim=2), present
