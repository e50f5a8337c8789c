"""Baseline that predicts the class frequencies, or the mean value, of the training split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register


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
        target = self.schema.target
        total, n_labelled = torch.zeros(target.width, dtype=torch.float64), 0
        for batch in batches():
            label = batch.label[batch.labelled].cpu()
            n_labelled += len(label)
            if target.task == "classification":
                total += torch.bincount(label, minlength=target.width)
            else:
                total += label.reshape(len(label), target.width).sum(dim=0)  # (U,) | (U, C) -> (U, width)
        if target.task == "regression":
            self.answer.copy_(total / max(1, n_labelled))
        else:  # one pseudo-count for each class keeps the logits of unseen classes finite
            self.answer.copy_(torch.log((total + 1) / (n_labelled + target.width)))

    def forward(self, batch: Batch) -> Prediction:
        """Return the same logits (U, C) for every utterance."""
        return Prediction(self.answer.expand(len(batch), -1))
