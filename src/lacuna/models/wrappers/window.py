"""The dialogue-window view: neighbouring turns as further frames of an utterance.

Many public corpora hold one vector an utterance. With a window of K turns on either side such an utterance becomes a sequence of
2K + 1 frames, which is what models of frame sequences are made for. The view is taken after the mask: what is missing in a turn
is missing in every window that it is part of, and models with and without a window are compared under the same masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.pooling import masked_mean
from lacuna.models.wrappers.wrapped import Wrapped


def neighbours(batch: Batch, turns: int) -> tuple[Tensor, Tensor]:
    """Rows of the turns around each utterance: the turns before, the nearest last, then the turns after, the nearest first.

    Args:
        batch: whole dialogues, in any order.
        turns: K on either side.

    Returns:
        (U, 2K) int64 rows of the batch, and (U, 2K) bool: there is such a turn.
    """
    dialogues = Dialogues.of(batch)
    rows = dialogues.pad(torch.arange(1, len(batch) + 1, device=batch.turn.device).unsqueeze(1)).squeeze(-1)  # (D, L), 0 = none
    offsets = torch.arange(-turns, turns + 1, device=rows.device)
    column = dialogues.column.unsqueeze(1) + offsets[offsets != 0]  # (U, 2K)
    inside = (column >= 0) & (column < rows.shape[1])
    found = rows[dialogues.row.unsqueeze(1), column.clamp(0, rows.shape[1] - 1)] * inside
    return (found - 1).clamp_min(0), found > 0


def windowed(batch: Batch, turns: int) -> Batch:
    """Put the neighbours' frame means before each utterance's own frames.

    Args:
        batch: whole dialogues.
        turns: K on either side.

    Returns:
        Features (U, 2K + T_m, d_m): frames 0..K-1 are the turns before, K..2K-1 those after, then its own frames. A neighbour of
        whom nothing was observed in a modality, or who does not exist, is an absent frame there. Its token is 0, "none".
    """
    rows, there = neighbours(batch, turns)
    features, present, tokens = {}, {}, {}
    for name, own in batch.features.items():
        beside = there & batch.present[name].any(dim=1)[rows]  # (U, 2K)
        means = masked_mean(own, batch.present[name])[rows] * beside.unsqueeze(-1)  # (U, 2K, d)
        features[name] = torch.cat([means, own], dim=1)
        present[name] = torch.cat([beside, batch.present[name]], dim=1)
        if name in batch.tokens:
            tokens[name] = torch.cat([rows.new_zeros(rows.shape), batch.tokens[name]], dim=1)
    return replace(batch, features=features, present=present, tokens=tokens)


class Windowed(Wrapped):
    """A recogniser that sees each utterance between its neighbours.

    Args:
        inner: what answers.
        turns: neighbouring turns on either side.
    """

    def __init__(self, inner: Recognizer, turns: int) -> None:
        super().__init__(inner)
        self.turns = turns
        self.needs_dialogue = True

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare on windows."""
        self.inner.prepare(lambda: (windowed(batch, self.turns) for batch in batches()))

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle on windows."""
        self.inner.settle(lambda: (windowed(batch, self.turns) for batch in batches()), metric)

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C); recovered are the utterances' own frames (U, T_m, d_m)."""
        prediction = super().forward(windowed(batch, self.turns))
        return replace(prediction, recovered={m: x[:, 2 * self.turns :] for m, x in prediction.recovered.items()})

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the utterances' own frames (S, U, T_m, d_m)."""
        drawn = super().sample(windowed(batch, self.turns), number, seed)
        return {m: x[:, :, 2 * self.turns :] for m, x in drawn.items()}

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The inner losses on windows."""
        return self.inner.losses(windowed(complete, self.turns), windowed(observed, self.turns), stage)
