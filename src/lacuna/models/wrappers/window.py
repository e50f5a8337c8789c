"""Dialogue window: neighbouring turns as additional frames of an utterance.

Many public corpora hold one vector for each utterance. With a window of K turns on either side, an utterance becomes a sequence
of 2K + 1 frames, the input that sequence models expect. The window is applied after the mask: what is missing in a turn is
missing in every window that includes it, and models with and without a window are compared under the same masks.
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
    """Return the rows of the turns around each utterance: K earlier turns, then K later turns, both in temporal order.

    Args:
        batch: whole dialogues, in any order.
        turns: K, turns on either side.

    Returns:
        (U, 2K) int64 rows of the batch, and (U, 2K) bool: the turn exists.
    """
    dialogues = Dialogues.of(batch)
    rows = dialogues.pad(torch.arange(1, len(batch) + 1, device=batch.turn.device).unsqueeze(1)).squeeze(
        -1
    )  # (U, 1) -> (D, L), 0 = no turn
    offsets = torch.arange(-turns, turns + 1, device=rows.device)
    column = dialogues.column.unsqueeze(1) + offsets[offsets != 0]  # (U, 2K)
    valid = (column >= 0) & (column < rows.shape[1])
    numbers = rows[dialogues.row.unsqueeze(1), column.clamp(0, rows.shape[1] - 1)] * valid
    return (numbers - 1).clamp_min(0), numbers > 0


def windowed(batch: Batch, turns: int) -> Batch:
    """Return the batch with the frame means of neighbouring turns before the frames of each utterance.

    Args:
        batch: whole dialogues.
        turns: K, turns on either side.

    Returns:
        Features (U, 2K + T_m, d_m): frames 0..K-1 are earlier turns, K..2K-1 later turns, then the frames of the utterance. A
        neighbour that does not exist, or without observed frames in a modality, is an absent frame with token 0.
    """
    rows, exists = neighbours(batch, turns)
    features, present, tokens = {}, {}, {}
    for name, frames in batch.features.items():
        neighbour_present = exists & batch.present[name].any(dim=1)[rows]  # (U, 2K)
        means = masked_mean(frames, batch.present[name])[rows] * neighbour_present.unsqueeze(-1)  # (U, 2K, d)
        features[name] = torch.cat([means, frames], dim=1)
        present[name] = torch.cat([neighbour_present, batch.present[name]], dim=1)
        if name in batch.tokens:
            tokens[name] = torch.cat([rows.new_zeros(rows.shape), batch.tokens[name]], dim=1)
    return replace(batch, features=features, present=present, tokens=tokens)


class Windowed(Wrapped):
    """Recogniser that reads each utterance with its neighbouring turns.

    Args:
        inner: wrapped recogniser.
        turns: K, neighbouring turns on either side.
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
        """Return logits (U, C) and recovered frames (U, T_m, d_m) of the utterances themselves."""
        prediction = super().forward(windowed(batch, self.turns))
        return replace(prediction, recovered={m: x[:, 2 * self.turns :] for m, x in prediction.recovered.items()})

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return draws (S, U, T_m, d_m) of the frames of the utterances themselves."""
        drawn = super().sample(windowed(batch, self.turns), number, seed)
        return {m: x[:, :, 2 * self.turns :] for m, x in drawn.items()}

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of the inner model on windows."""
        return self.inner.losses(windowed(complete, self.turns), windowed(observed, self.turns), stage)
