"""Multinomial logistic (or linear) regression of mean-filled features."""

from __future__ import annotations

from typing import Any

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import pooled


@register(
    "linear",
    title="Linear classifier of mean-filled features",
    task="baseline",
)
class Linear(Recognizer):
    r"""Logistic (or linear) regression of the frame means of all modalities, missing modalities filled with the training mean.

    .. math:: \hat{y} = W [\bar{x}_1; ...; \bar{x}_M] + b

    Features are standardised, so the training mean is 0.
    """

    exports = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.head = classifier(schema, sum(schema.dims.values()), self.config, zero=True)  # convex problem

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.head(pooled(batch)))  # (U, sum d) -> (U, C)
