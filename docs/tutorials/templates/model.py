"""Gated mean fusion: each modality's mean is weighted by a learned gate that sees which modalities are present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class GatedConfig(Config):
    """Settings of :class:`Gated`.

    Attributes:
        hidden: width of the fused vector.
    """

    hidden: int = 32
    space: ClassVar[Space] = {"hidden": Span(8, 256, log=True)}

    def __post_init__(self) -> None:
        check_bounds("gated", self, hidden=(1, 65536))


@register("gated", title="Gated mean fusion", task="fusion")
class Gated(Recognizer):
    """Frame means of all modalities and presence bits, through one gated layer."""

    Config = GatedConfig
    config: GatedConfig

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width = sum(schema.dims.values()) + len(schema.dims)
        self.value, self.gate = (nn.Linear(width, self.config.hidden) for _ in range(2))
        self.head = classifier(schema, self.config.hidden, self.config)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        vectors = torch.cat([pooled(batch), batch.available().float()], dim=1)  # (U, sum d + M)
        return Prediction(self.head(self.value(vectors) * torch.sigmoid(self.gate(vectors))))
