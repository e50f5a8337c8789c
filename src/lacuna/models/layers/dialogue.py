"""From a flat batch to dialogues side by side, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch


@dataclass(frozen=True, eq=False)
class Dialogues:
    """Where each utterance of a flat batch sits in its dialogue, whatever the order of the batch.

    Attributes:
        row: (U,) int64 dialogue of each utterance, 0..D-1.
        column: (U,) int64 rank of its turn in the dialogue, 0..L-1.
        lengths: (D,) int64 turns of each dialogue.
    """

    row: Tensor
    column: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Dialogues:
        """Sort the turns of each dialogue of the batch."""
        _, row = torch.unique(batch.dialogue, return_inverse=True)
        order = torch.argsort(batch.turn, stable=True)
        order = order[torch.argsort(row[order], stable=True)]  # by dialogue, then by turn
        lengths = torch.bincount(row)
        first = lengths.cumsum(0) - lengths
        column = torch.empty_like(row)
        column[order] = torch.arange(len(row), device=row.device) - first[row[order]]
        return cls(row, column, lengths)

    def pad(self, flat: Tensor) -> Tensor:
        """(U, H) -> (D, L, H), zeros after the end of a dialogue."""
        padded = flat.new_zeros(len(self.lengths), int(self.lengths.max()), flat.shape[-1])
        return padded.index_put((self.row, self.column), flat)

    def flat(self, padded: Tensor) -> Tensor:
        """(D, L, H) -> (U, H) in the batch's own order."""
        return padded[self.row, self.column]
