"""The constant: what one can say without looking."""

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
    """Answers every utterance with the class frequencies of training, or with its mean value.

    No method is worth anything below it, and a method that collapses as data goes missing falls to it.
    """

    learns = False
    answer: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.register_buffer("answer", torch.zeros(schema.target.width))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Count the training labels."""
        target = self.schema.target
        total, count = torch.zeros(target.width, dtype=torch.float64), 0
        for batch in batches():
            label = batch.label[batch.labelled].cpu()
            count += len(label)
            if target.task == "classification":
                total += torch.bincount(label, minlength=target.width)
            else:
                total += label.reshape(len(label), target.width).sum(dim=0)  # (U,) | (U, C) -> (U, width)
        if target.task == "regression":
            self.answer.copy_(total / max(1, count))
        else:  # one pseudo-count a class keeps unseen classes finite
            self.answer.copy_(torch.log((total + 1) / (count + target.width)))

    def forward(self, batch: Batch) -> Prediction:
        """The same logits for every utterance: (U, C)."""
        return Prediction(self.answer.expand(len(batch), -1))
