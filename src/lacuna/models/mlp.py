"""Multilayer perceptron with presence indicators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class MLPConfig(Config):
    """Settings of :class:`MLP`.

    Attributes:
        hidden: units of the hidden layer.
        dropout: dropout rate of the hidden units.
        modality_dropout: probability that training hides a modality of an utterance in addition to the training mask;
            at least one modality stays.
    """

    hidden: int = 64
    dropout: float = 0.5
    modality_dropout: float = 0.3
    space: ClassVar[Space] = {"hidden": Span(16, 256, log=True), "dropout": Span(0.0, 0.8), "modality_dropout": Span(0.0, 0.6)}

    def __post_init__(self) -> None:
        check_bounds("mlp", self, hidden=(1, 65536), dropout=(0.0, 1.0), modality_dropout=(0.0, 1.0))


@register(
    "mlp",
    title="Multilayer perceptron with modality dropout",
    task="baseline",
    reference="Neverova et al., ModDrop: Adaptive Multi-Modal Gesture Recognition, IEEE TPAMI 2016",
)
class MLP(Recognizer):
    """Multilayer perceptron of zero-filled frame means and one presence indicator for each modality.

    Modality dropout (Neverova et al., ModDrop, IEEE TPAMI 2016) makes it robust to missing modalities.
    """

    Config = MLPConfig
    config: MLPConfig
    exports = gives_hidden = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width = sum(schema.dims.values()) + len(schema.dims)
        self.body = nn.Sequential(nn.Linear(width, self.config.hidden), nn.GELU(), nn.Dropout(self.config.dropout))
        self.head = classifier(schema, self.config.hidden, self.config)
        self.hidden_width = self.config.hidden

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        if self.training and self.config.modality_dropout > 0:
            batch = drop_modalities(batch, self.config.modality_dropout)
        inputs = torch.cat([pooled(batch), batch.available().float()], dim=1)  # (U, sum d + M)
        hidden = self.body(inputs)
        return Prediction(self.head(hidden), hidden=hidden)


def drop_modalities(batch: Batch, probability: float) -> Batch:
    """Hide whole modalities at random; every utterance keeps at least one of those that it has.

    Args:
        batch: observed utterances.
        probability: probability that a modality is hidden, 0 to 1.
    """
    available = batch.available()  # (U, M)
    score = torch.rand(available.shape, device=available.device).masked_fill(~available, -1)
    keep = (score >= probability) | (score == score.max(dim=1, keepdim=True).values)
    still_present: dict[str, Tensor] = {}
    for column, (name, present) in enumerate(batch.present.items()):
        still_present[name] = present & keep[:, column, None]
    return batch.observe(still_present)
