"""Calibrated probabilities for any recogniser: a temperature for each set of available modalities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.layers.temperature import PatternTemperature
from lacuna.models.wrappers.wrapped import Wrapped


class Calibrated(Wrapped):
    """Divide the logits by temperatures that minimise the log loss on validation, once, after training.

    The most probable class of an utterance stays the same. Temperatures of rare patterns are drawn towards a common one
    (:class:`~lacuna.models.layers.temperature.PatternTemperature`).

    Args:
        inner: what is calibrated.
        switch: always true; wrappers are called with their setting.

    Raises:
        ConfigError: the target is a score, whose answer is no distribution.
    """

    def __init__(self, inner: Recognizer, switch: bool = True) -> None:
        super().__init__(inner)
        if inner.schema.target.task == "regression":
            raise ConfigError(
                f"model '{inner.name}': setting 'calibrate' needs classes or soft labels; "
                f"target '{inner.schema.target.name}' is a score; set it to false"
            )
        self.temperature = PatternTemperature(len(inner.schema.dims))

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle what is inside, then choose the temperatures."""
        super().settle(batches, metric)
        answers, labels, available = [], [], []
        for batch in batches():
            answers.append(self.inner(batch).logits[batch.labelled].float())
            labels.append(batch.label[batch.labelled])
            available.append(batch.available()[batch.labelled])
        self.temperature.fit(self.schema.target, torch.cat(answers), torch.cat(labels), torch.cat(available))

    def forward(self, batch: Batch) -> Prediction:
        """The inner answer with its logits divided by the temperature."""
        prediction = super().forward(batch)
        return replace(prediction, logits=prediction.logits / self.temperature(batch.available()))
