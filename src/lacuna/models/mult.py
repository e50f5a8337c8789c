"""MulT: cross-modal transformer over unaligned sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import check_bounds, check_multiples
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.head import classifier
from lacuna.models.layers.rescaling import RESCALING, Rescaling, RescalingConfig
from lacuna.models.layers.token_recognizer import Residual
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class MulTConfig(RescalingConfig):
    """Settings of :class:`MulT`.

    Attributes:
        width: d, units of each frame after projection; a multiple of ``heads``.
        heads: heads of every attention.
        cross: layers of each cross-modal transformer.
        memory: self-attention layers after them.
        dropout: dropout rate.
    """

    width: int = 32
    heads: int = 4
    cross: int = 1
    memory: int = 1
    dropout: float = 0.2
    space: ClassVar[Space] = {
        "width": Choice((16, 32, 64)),
        "cross": Span(1, 4),
        "memory": Span(1, 3),
        "dropout": Span(0.0, 0.6),
    }

    def __post_init__(self) -> None:
        check_bounds("mult", self, width=(1, 8192), heads=(1, 1024), cross=(1, 64), memory=(1, 64), dropout=(0.0, 1.0))
        check_bounds("mult", self, **RESCALING)
        check_multiples("mult", self, "heads", "width")


@register(
    "mult",
    title="Multimodal Transformer for Unaligned Multimodal Language Sequences",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://aclanthology.org/P19-1656",
    year=2019,
    venue="ACL",
)
class MulT(Recognizer):
    """Cross-modal transformer of Tsai et al. (ACL 2019): the frames of each modality attend to those of every other one.

    The sequences need no alignment and can have different lengths. With M modalities there are M (M - 1) cross-modal
    transformers; a self-attention transformer reads the concatenation of those with the same target.

    Three differences from the paper make it work with missing data. Frames that are not present are masked. Each attention has
    one learned key in addition to the frames, so it is defined if the other modality is missing. A modality is summarised by the
    mean of its present frames, not by its last step; the summary of a missing modality is 0, and the head also reads which
    modalities are available. The projection of frames is linear (a convolution of kernel size 1 in the paper's terms).
    """

    Config = MulTConfig
    config: MulTConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.0015}  # chosen by experiments/defaults/small.py
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.fusion = CrossModalFusion(list(schema.dims.values()), c.width, c.heads, c.cross, c.memory, c.dropout)
        self.residual = Residual(self.fusion.width, self.fusion.width, nn.ReLU(), c.dropout)
        self.head = classifier(schema, self.fusion.width + len(schema.dims), c)

    def summaries(self, batch: Batch) -> Tensor:
        """Return (U, F), the concatenated summaries of the modalities; the part of a missing modality is 0."""
        summary: Tensor = self.fusion(list(batch.features.values()), list(batch.present.values()), Rescaling.of(self))
        return summary

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        summary = self.residual(self.summaries(batch))  # (U, F)
        return Prediction(self.head(torch.cat([summary, batch.available().to(summary)], dim=1)).float())
