"""Inputs that the fusion models share: frames or utterance vectors of every modality in one width, and what is present."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.layers.attention import AttentionPooling
from lacuna.models.layers.positions import sinusoids

_log = logging.getLogger(__name__)


def modality_or_first(schema: Schema, wanted: str, model: str) -> str:
    """Return the modality with a name, or the first modality if the corpus has no such one; a warning says so.

    Args:
        schema: modalities.
        wanted: name of a modality.
        model: name in the registry, for the warning.
    """
    first = next(iter(schema.dims))
    if wanted in schema.dims:
        return wanted
    _log.warning("%s: the corpus has no modality '%s', so '%s' is read", model, wanted, first)
    return first


def projections(schema: Schema, width: int) -> nn.ModuleDict:
    """Return one linear map and layer norm for each modality, from d_m to ``width``."""
    return nn.ModuleDict({m: nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width)) for m, dim in schema.dims.items()})


class ModalityEncoder(nn.Module, ABC):
    """Base of encoders that read each modality alone; pretraining finds the encoders of a model by this class.

    Attributes:
        width: d, units of a vector.
    """

    width: int

    @abstractmethod
    def modality_vectors(self, batch: Batch) -> Tensor:
        """Return one vector for each modality of each utterance, (U, M, d), exactly 0 for a missing modality."""


class FrameStreams(ModalityEncoder):
    """Map the frames of each modality to a common width and add position encodings.

    Args:
        schema: modalities.
        width: d, units of each position.
    """

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = projections(schema, width)

    def modality_vectors(self, batch: Batch) -> Tensor:
        """Return the means of the present frames of each modality (U, M, d), exactly 0 for a missing modality."""
        return torch.stack([masked_mean_of(x, present) for x, present in zip(*self(batch), strict=True)], dim=1)

    def forward(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Return one (U, T_m, d) and one (U, T_m) bool for each modality; positions that are not present have any value."""
        streams = [self.project[m](x) for m, x in batch.features.items()]
        streams = [x + sinusoids(x.shape[1], x.shape[2], x.device).to(x) for x in streams]
        return streams, list(batch.present.values())


class UtteranceVectors(ModalityEncoder):
    """Map the frames of each modality to a common width and pool the present ones by learned attention.

    Args:
        schema: modalities.
        width: d, units of each vector.
    """

    def __init__(self, schema: Schema, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = projections(schema, width)
        self.pool = nn.ModuleDict({m: AttentionPooling(width) for m in schema.dims})

    def modality_vectors(self, batch: Batch) -> Tensor:
        """Return (U, M, d), exactly 0 for a missing modality."""
        vectors: Tensor = self(batch)
        return vectors

    def forward(self, batch: Batch) -> Tensor:
        """Return (U, M, d), exactly 0 for a missing modality."""
        vectors = [self.pool[m](self.project[m](x), batch.present[m]) for m, x in batch.features.items()]
        return torch.stack(vectors, dim=1)


class MaskedAttention(nn.Module):
    """Multi-head attention that reads present positions only and returns exactly 0 where none is present.

    Args:
        width: d, a multiple of ``heads``.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, queries: Tensor, read: Tensor, keys: Tensor) -> Tensor:
        """Return (B, Q, d) from queries (B, Q, d), the positions read (B, K, d) and keys (B, K) bool."""
        some = keys.any(dim=1, keepdim=True)  # (B, 1)
        ignored = ~keys & some  # a row without keys ignores none, so its softmax is finite; the result is replaced by 0
        update, _ = self.attention(queries, read, read, key_padding_mask=ignored, need_weights=False)
        return update * some.unsqueeze(-1)  # type: ignore[no-any-return]


def masked_mean_of(x: Tensor, present: Tensor) -> Tensor:
    """Return the mean (..., d) over the present positions of x (..., N, d) with present (..., N) bool; 0 if there is none."""
    return (x * present.unsqueeze(-1)).sum(dim=-2) / present.sum(dim=-1, keepdim=True).clamp_min(1)


def labels_where(label: Tensor, available: Tensor) -> Tensor:
    """Return the labels of some utterances; the others are unlabelled.

    Args:
        label: (U,) int64 classes, (U,) float32 values or (U, C) float32 shares.
        available: (U,) bool.
    """
    available = available if label.ndim == 1 else available.unsqueeze(1)
    return label.where(available, torch.nan if label.is_floating_point() else -1)
