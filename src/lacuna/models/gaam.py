"""Gaussian adaptive attention over the features of the frames of each modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.gaussian_attention import GaussianAttention
from lacuna.models.layers.head import classifier
from lacuna.models.layers.streams import masked_mean_of, projections
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class GAAMConfig(Config):
    """Settings of :class:`GAAM`.

    Attributes:
        width: n, features of each frame after projection; a multiple of ``heads``.
        heads: heads that the features are split into.
        gaussians: Gaussians of each head.
        layers: number of blocks.
        dropout: dropout rate of the head.
    """

    width: int = 64
    heads: int = 4
    gaussians: int = 2
    layers: int = 2
    dropout: float = 0.3
    space: ClassVar[Space] = {
        "width": Choice((32, 64, 128)),
        "gaussians": Span(1, 8),
        "layers": Span(1, 4),
        "dropout": Span(0.0, 0.6),
    }

    def __post_init__(self) -> None:
        check_bounds("gaam", self, width=(1, 8192), heads=(1, 1024), gaussians=(1, 64), layers=(1, 64), dropout=(0.0, 1.0))
        check_multiples("gaam", self, "heads", "width")


@register(
    "gaam",
    title="Gaussian Adaptive Attention is All You Need: Robust Contextual Representations Across Multiple Modalities",
    task="fusion",
    modalities=("any",),
    paper="https://arxiv.org/abs/2401.11143",
    year=2024,
)
class GAAM(Recognizer):
    """Classifier with the Gaussian adaptive attention of Ioannides et al. (arXiv 2401.11143).

    Frames of each modality are projected, pass through residual blocks of
    :class:`~lacuna.models.layers.gaussian_attention.GaussianAttention`, and are averaged over the present frames. The head reads
    the means of all modalities, 0 for a missing one, and which modalities are available. The block is the published one; the
    fusion of several modalities with missing ones is a decision of this library (the paper has frozen encoders and one stream).
    """

    Config = GAAMConfig
    config: GAAMConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    gives_hidden = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, inputs = self.config, self.config.width * len(schema.dims) + len(schema.dims)
        self.project = projections(schema, c.width)
        self.blocks = nn.ModuleDict(
            {m: nn.ModuleList(GaussianAttention(c.width, c.heads, c.gaussians) for _ in range(c.layers)) for m in schema.dims}
        )
        self.body = nn.Sequential(nn.Linear(inputs, c.width), nn.GELU(), nn.Dropout(c.dropout))
        self.head = classifier(schema, c.width, c)
        self.hidden_width = c.width

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        means = []
        for name, frames in batch.features.items():
            x, present = self.project[name](frames), batch.present[name]  # (U, T, n), (U, T)
            for block in self.blocks[name]:  # type: ignore[attr-defined]
                x = x + block(x, present)
            means.append(masked_mean_of(x, present))
        vector = torch.cat(means, dim=1)  # (U, M n)
        hidden = self.body(torch.cat([vector, batch.available().to(vector)], dim=1))  # (U, n)
        return Prediction(self.head(hidden).float(), hidden=hidden)
