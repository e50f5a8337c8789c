"""Calibrated probabilities for any recogniser: a temperature for each set of available modalities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import CONTRIBUTION, Prediction, Recognizer
from lacuna.models.layers.temperature import PatternTemperature
from lacuna.models.wrappers.wrapped import Wrapped


class Calibrated(Wrapped):
    """Divide the logits by temperatures that minimise the log loss on validation, once, after training.

    The most probable class of an utterance stays the same. Temperatures of rare patterns are drawn towards a common one
    (:class:`~lacuna.models.layers.temperature.PatternTemperature`).

    Args:
        inner: wrapped recogniser.
        switch: always true; wrappers are called with their setting.

    Raises:
        ConfigError: the target is a value, whose prediction is no distribution.
    """

    def __init__(self, inner: Recognizer, switch: bool = True) -> None:
        super().__init__(inner)
        if inner.schema.target.task == "regression":
            raise ConfigError(
                f"model '{inner.name}': setting 'calibrate' needs classes or soft labels; "
                f"target '{inner.schema.target.name}' is a value; set it to false"
            )
        self.temperature = PatternTemperature(len(inner.schema.dims))
        self.calibrated = True

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle the inner model, then choose the temperatures."""
        super().settle(batches, metric)
        answers, labels, available = [], [], []
        for batch in batches():
            answers.append(self.inner(batch).logits[batch.labelled].float())
            labels.append(batch.label[batch.labelled])
            available.append(batch.available()[batch.labelled])
        if not answers:
            return
        self.temperature.fit(self.schema.target, torch.cat(answers), torch.cat(labels), torch.cat(available))

    def forward(self, batch: Batch) -> Prediction:
        """Return the prediction of the inner model with logits (U, C), and what sums to them, divided by the temperature."""
        prediction, temperature = super().forward(batch), self.temperature(batch.available())  # (U, 1)
        scaled = {k: x / temperature if k.startswith(CONTRIBUTION) else x for k, x in prediction.auxiliary.items()}
        return replace(prediction, logits=prediction.logits / temperature, auxiliary=scaled)
