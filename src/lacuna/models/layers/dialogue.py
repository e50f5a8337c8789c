"""Conversion between a flat batch and padded dialogues."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch


@dataclass(frozen=True, eq=False)
class PaddedBatch(Batch):
    """The turns of padded dialogues, D x L of them, so that no shape depends on a value; for exported graphs.

    Attributes:
        inside: (D, L) bool, False after the end of a dialogue; there is nothing present there.
    """

    inside: Tensor = field(kw_only=True)


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
        if isinstance(batch, PaddedBatch):
            return PaddedDialogues.within(batch.inside)
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


@dataclass(frozen=True, eq=False)
class PaddedDialogues(Dialogues):
    """The dialogues of a :class:`PaddedBatch`: each has L turns, of which the last may be padding."""

    turns: Tensor  # (D, L) bool, the turns inside

    @classmethod
    def within(cls, inside: Tensor) -> PaddedDialogues:
        """Return the dialogues of which ``inside`` (D, L) marks the turns."""
        ones = torch.ones_like(inside, dtype=torch.int64)
        row, column = ((ones.cumsum(axis) - 1).reshape(-1) for axis in (0, 1))  # (D, L) -> (D * L,)
        return cls(row, column, inside.sum(dim=1), inside)

    def pad(self, flat: Tensor) -> Tensor:
        """Return (D, L, H) from (D * L, H), zeros after the end of a dialogue."""
        return flat.reshape(*self.turns.shape, flat.shape[-1]) * self.turns.unsqueeze(-1)

    def flat(self, padded: Tensor) -> Tensor:
        """Return (D * L, H) from (D, L, H)."""
        return padded.reshape(-1, padded.shape[-1])


def reversal(inside: Tensor) -> Tensor:
    """Return the order (D, L) int64 in which the turns inside each dialogue stand backwards; it is its own inverse."""
    position = torch.arange(inside.shape[1], device=inside.device).expand_as(inside)
    return torch.where(inside, inside.sum(dim=1, keepdim=True) - 1 - position, position)


def reordered(x: Tensor, order: Tensor) -> Tensor:
    """Return (D, L, H) with the turns in another order (D, L)."""
    return x.gather(1, order.unsqueeze(-1).expand_as(x))
