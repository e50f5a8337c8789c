"""Baseline that predicts the class frequencies, or the mean value, of the training split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.layers.label_statistics import label_statistics


@register(
    "prior",
    title="Class frequencies (or mean value) of the training split",
    task="baseline",
)
class Prior(Recognizer):
    """Baseline that predicts the class frequencies (or the mean value) of the training split for every utterance.

    .. math:: p(y = c) = (n_c + 1) / (n + C)

    It reads no features. A model that scores below it has learned nothing that generalises.
    """

    learns = False
    answer: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.register_buffer("answer", torch.zeros(schema.target.width))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Count the training labels."""
        self.answer.copy_(label_statistics(self.schema.target, batches)[0])

    def forward(self, batch: Batch) -> Prediction:
        """Return the same logits (U, C) for every utterance."""
        return Prediction(self.answer.expand(len(batch), -1))
