"""Answers from the past only: at turn t of a dialogue, a model is given the turns 0 to t.

A model that reads dialogues answers with the whole dialogue in view, so its score at turn t is not that of a system that listens
to the dialogue as it happens. Here it answers once for each position t, on batches that hold no later turn, so that no later turn
can change the answer. It costs about half the length of a dialogue in forward passes of the ordinary answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.models import Prediction, Recognizer


class Answer(NamedTuple):
    """What a model answers to a batch of U utterances.

    Attributes:
        logits: (U, C) float32 logits, or (U, 1) values.
        spread: (U,) float32, see :attr:`lacuna.models.base.Prediction.spread`.
    """

    logits: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, prediction: Prediction) -> Answer:
        """Return the answer in a prediction, on the CPU."""
        return cls(prediction.logits.float().cpu().numpy(), prediction.spread.cpu().numpy())


def prefixes(batch: Batch) -> Iterator[tuple[Tensor, Batch]]:
    """Yield for each position t the rows of the turns at t, and the batch of the turns 0 to t of their dialogues.

    Args:
        batch: U utterances of whole dialogues, one dialogue after the other, turns in order.

    Yields:
        (D_t,) int64 rows of the batch, one for each dialogue with more than t turns, and the prefixes of these dialogues. Frames
        are padded to the longest observed frame of the prefixes, not of the whole batch.
    """
    rows = torch.arange(len(batch), device=batch.dialogue.device)
    opens = torch.ones_like(batch.dialogue, dtype=torch.bool)
    opens[1:] = batch.dialogue[1:] != batch.dialogue[:-1]
    first = rows[opens]  # (D,)
    number = torch.cumsum(opens, 0) - 1  # (U,) dialogue of each row
    position = rows - first[number]  # (U,)
    length = torch.bincount(number)  # (D,)
    for t in range(int(length.max()) if len(batch) else 0):
        longer = length > t
        yield first[longer] + t, _trimmed(batch.take(rows[(position <= t) & longer[number]]))


def _trimmed(batch: Batch) -> Batch:
    """Return the batch without the padding that other utterances had needed: (U, T_m, ...) -> (U, T, ...) with T >= 1."""
    longest = {m: 1 + int(torch.nonzero(p.any(dim=0)).max()) if p.any() else 1 for m, p in batch.present.items()}
    return replace(
        batch,
        features={m: x[:, : longest[m]].contiguous() for m, x in batch.features.items()},
        present={m: p[:, : longest[m]].contiguous() for m, p in batch.present.items()},
        tokens={m: x[:, : longest[m]].contiguous() for m, x in batch.tokens.items()},
    )


def answer_from_past(model: Recognizer, batch: Batch) -> Answer:
    """Return the answer at each turn from the turns up to it.

    Args:
        model: in evaluation mode; call it inside :func:`lacuna.evaluation.predict.inference`.
        batch: U observed utterances, as for :func:`prefixes` if the model reads dialogues.
    """
    if not model.needs_dialogue:
        return Answer.of(model(batch))
    result = Answer(np.empty((len(batch), model.schema.target.width), np.float32), np.empty(len(batch), np.float32))
    for rows, prefix in prefixes(batch):
        last = torch.ones(len(prefix), dtype=torch.bool, device=prefix.dialogue.device)
        last[:-1] = prefix.dialogue[1:] != prefix.dialogue[:-1]
        for whole, of_prefix in zip(result, Answer.of(model(prefix)), strict=True):
            whole[rows.cpu().numpy()] = of_prefix[last.cpu().numpy()]
    return result
