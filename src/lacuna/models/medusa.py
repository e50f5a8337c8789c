"""MEDUSA: DeepSER, deep fusion of the hidden states of every depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.attention import AttentionPooling
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.streams import FrameStreams
from lacuna.models.space import Choice, Space, Span

Sequences = list[tuple[Tensor, Tensor]]  # of each modality (U, L, d) and (U, L) bool, the positions that are present


@dataclass(frozen=True)
class MEDUSAConfig(Config):
    """Settings of :class:`MEDUSA`.

    Attributes:
        width: d, units of each position; a multiple of ``heads``.
        heads: heads of every attention.
        layers: transformer layers of each modality; the fusion has one more, which reads the pooled vectors.
        dropout: dropout rate.
    """

    width: int = 32
    heads: int = 4
    layers: int = 2
    dropout: float = 0.3
    space: ClassVar[Space] = {"width": Choice((16, 32, 64)), "layers": Span(1, 4), "dropout": Span(0.0, 0.6)}

    def __post_init__(self) -> None:
        check_bounds("medusa", self, width=(1, 8192), heads=(1, 1024), layers=(1, 64), dropout=(0.0, 1.0))
        check_multiples("medusa", self, "heads", "width")


@register(
    "medusa",
    title="MEDUSA: A Multimodal Deep Fusion Multi-Stage Training Framework for Speech Emotion Recognition "
    "in Naturalistic Conditions",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2506.09556",
    year=2025,
    venue="Interspeech",
    reconstruction=True,
)
class MEDUSA(Recognizer):
    r"""DeepSER, the member model of MEDUSA (Chatzichristodoulou et al., Interspeech 2025), reconstructed from public summaries.

    The transformer of each modality gives its hidden states after every layer, and at last a pooled vector: with two layers the
    list :math:`[h_1, h_2, h_3]`. The fusion has one transformer layer for each depth k. It reads the states of all modalities at
    that depth and its own output at the depth before:

    .. math:: f_k = F_k([h_k^1; \dots; h_k^M; f_{k-1}])

    The head reads the pooled fused sequence, the pooled vector of each modality, and which modalities are available.

    Code that the authors may have published was not read. Decided here: pooling by attention, sinusoidal positions, pre-norm
    layers with a learned key. Frames that are not present are no keys at any depth, so a missing modality adds nothing. With
    a soft target the loss is the cross-entropy against the distribution of votes. The other parts of MEDUSA are not in this
    class: its ensemble with a meta-classifier is the model ``combined`` with members ``medusa`` and ``how: linear``; balanced
    sampling, manifold mixup (``mixup_layer: hidden``) and the heads for valence, arousal and dominance
    (``auxiliary_targets: {valence: {loss: ccc}}``) are settings of training.
    """

    Config = MEDUSAConfig
    config: MEDUSAConfig
    gives_hidden = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, names = self.config, list(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.encoders = nn.ModuleDict(
            {m: nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers)) for m in names}
        )
        self.pools = nn.ModuleDict({m: AttentionPooling(c.width) for m in names})
        self.fusion = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers + 1))
        self.pool, self.norm = AttentionPooling(c.width), nn.LayerNorm((len(names) + 1) * c.width)
        self.dropout = nn.Dropout(c.dropout)
        self.hidden_width = (len(names) + 1) * c.width + len(names)
        self.head = classifier(schema, self.hidden_width, c)

    def hidden(self, batch: Batch) -> list[Sequences]:
        """Return the states of all modalities at each depth: after every layer, and at last the pooled vector (L = 1)."""
        depths: list[Sequences] = [[] for _ in self.fusion]
        for name, frames, present in zip(batch.features, *self.streams(batch), strict=True):
            states, layers = frames, cast(nn.ModuleList, self.encoders[name])
            for depth, layer in enumerate(layers):
                states = layer(states, states, present)
                depths[depth].append((states, present))
            depths[-1].append((self.pools[name](states, present).unsqueeze(1), present.any(dim=1, keepdim=True)))
        return depths

    def fuse(self, depths: list[Sequences]) -> Tensor:
        """Return the pooled fused sequence (U, d) from the states of all modalities at each depth."""
        fused: Sequences = []
        for layer, states in zip(self.fusion, depths, strict=True):
            x, present = (torch.cat(parts, dim=1) for parts in zip(*states, *fused, strict=True))
            fused = [(layer(x, x, present), present)]
        return self.pool(*fused[0])  # type: ignore[no-any-return]

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        depths = self.hidden(batch)
        pooled = torch.cat([self.fuse(depths), *(x.squeeze(1) for x, _ in depths[-1])], dim=1)  # (U, (M + 1) d)
        vector = self.dropout(self.norm(pooled))
        hidden = torch.cat([vector, batch.available().to(vector)], dim=1)  # (U, (M + 1) d + M)
        return Prediction(self.head(hidden).float(), hidden=hidden)
