"""Conversion between a flat batch and padded dialogues."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch


@dataclass(frozen=True, eq=False)
class Dialogues:
    """Dialogue and position of each utterance of a flat batch; the batch can have any order.

    Attributes:
        row: (U,) int64 dialogue of each utterance, 0..D-1.
        column: (U,) int64 position of the utterance in its dialogue, 0..L-1.
        lengths: (D,) int64 number of turns of each dialogue.
    """

    row: Tensor
    column: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Dialogues:
        """Return the dialogues of a batch, utterances ordered by turn."""
        _, row = torch.unique(batch.dialogue, return_inverse=True)
        order = torch.argsort(batch.turn, stable=True)
        order = order[torch.argsort(row[order], stable=True)]  # by dialogue, then by turn
        lengths = torch.bincount(row)
        first = lengths.cumsum(0) - lengths
        column = torch.empty_like(row)
        column[order] = torch.arange(len(row), device=row.device) - first[row[order]]
        return cls(row, column, lengths)

    def pad(self, flat: Tensor) -> Tensor:
        """Return (D, L, H) from (U, H), zeros after the end of a dialogue."""
        padded = flat.new_zeros(len(self.lengths), int(self.lengths.max()), flat.shape[-1])
        return padded.index_put((self.row, self.column), flat)

    def flat(self, padded: Tensor) -> Tensor:
        """Return (U, H), in the order of the batch, from (D, L, H)."""
        return padded[self.row, self.column]

    def inside(self, length: int) -> Tensor:
        """Return (D, length) bool: positions before the end of each dialogue."""
        return torch.arange(length, device=self.lengths.device) < self.lengths[:, None]
