"""CM-RoBERTa: parallel self- and cross-attention, mid-level fusion, and residual unimodal evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import check_bounds, check_multiples
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.rescaling import RESCALING, Rescaling, RescalingConfig
from lacuna.models.layers.streams import FrameStreams, MaskedAttention, masked_mean_of
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class CMRobertaConfig(RescalingConfig):
    """Settings of :class:`CMRoberta`.

    Attributes:
        width: d, units of each frame; a multiple of ``heads``.
        heads: heads of each attention.
        parallel: layers of parallel self- and cross-attention, before the fusion.
        joint: self-attention layers over the concatenated streams, after it.
        dropout: dropout rate.
    """

    width: int = 32
    heads: int = 4
    parallel: int = 1
    joint: int = 1
    dropout: float = 0.2
    space: ClassVar[Space] = {
        "width": Choice((16, 32, 64)),
        "parallel": Span(1, 3),
        "joint": Span(1, 3),
        "dropout": Span(0.0, 0.6),
    }

    def __post_init__(self) -> None:
        check_bounds("cm_roberta", self, width=(1, 8192), heads=(1, 1024), parallel=(1, 64), joint=(1, 64), dropout=(0.0, 1.0))
        check_bounds("cm_roberta", self, **RESCALING)
        check_multiples("cm_roberta", self, "heads", "width")


class ParallelLayer(nn.Module):
    r"""Layer of one stream in which self- and cross-attention read the same input, side by side, not one after the other.

    .. math:: x' = LN(x + SA(x) + \sum_n CA_n(x, y_n)), \quad LN(x' + FFN(x'))

    Args:
        width: d.
        heads: number of heads.
        others: number of other streams.
        dropout: dropout rate.
    """

    def __init__(self, width: int, heads: int, others: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = MaskedAttention(width, heads)
        self.cross_attention = nn.ModuleList(MaskedAttention(width, heads) for _ in range(others))
        self.between, self.last, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width))

    def attended(self, x: Tensor, keys: Tensor, others: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the sum of self- and cross-attention, (U, T, d); see :meth:`forward`."""
        update: Tensor = self.self_attention(x, x, keys)
        for attention, (y, y_keys) in zip(self.cross_attention, others, strict=True):
            update = update + attention(x, y, y_keys)
        return update

    def forward(self, x: Tensor, keys: Tensor, others: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return (U, T, d) from a stream (U, T, d) with keys (U, T) bool, and the other streams with their keys."""
        x = self.between(x + self.dropout(self.attended(x, keys, others)))
        result: Tensor = self.last(x + self.dropout(self.feed(x)))
        return result


@register(
    "cm_roberta",
    title="Cross-modal fusion techniques for utterance-level emotion recognition from text and speech",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2302.02447",
    year=2023,
    reconstruction=True,
)
class CMRoberta(Recognizer):
    """CM-RoBERTa of Luo, Phan and Reiss (arXiv 2302.02447) on extracted features, reconstructed from its abstract.

    The frames of each modality pass through layers of parallel self- and cross-attention, are concatenated in the middle of the
    network, and pass through self-attention layers together. The head reads the means of the fused frames and, as residual, the
    means of the projected frames of each modality before any fusion.

    No code is public. Decided here: the streams are projected features, not fine-tuned RoBERTa and speech encoders;
    layer sizes; the mean of present frames as summary; any number of modalities (the paper has text and speech). The paper's
    context of neighbouring utterances is the setting ``window`` of every model. Missing frames are no keys and in no mean; the
    head also reads which modalities are available.
    """

    Config = CMRobertaConfig
    config: CMRobertaConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.modality = nn.Parameter(0.02 * torch.randn(m, c.width))
        self.parallel = nn.ModuleList(
            nn.ModuleList(ParallelLayer(c.width, c.heads, m - 1, c.dropout) for _ in range(m)) for _ in range(c.parallel)
        )
        self.joint = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.joint))
        self.norm, self.dropout = nn.LayerNorm(c.width), nn.Dropout(c.dropout)
        self.head = classifier(schema, m * (2 * c.width + 1), c)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        streams, keys = self.streams(batch)
        unimodal = [masked_mean_of(x, present) for x, present in zip(streams, keys, strict=True)]
        streams = [x + code for x, code in zip(streams, self.modality, strict=True)]
        for layers in self.parallel:
            pairs = list(zip(streams, keys, strict=True))
            others = [pairs[:i] + pairs[i + 1 :] for i in range(len(pairs))]
            streams = [layer(*own, rest) for layer, own, rest in zip(layers, pairs, others, strict=True)]  # type: ignore[call-overload]
        x, present = torch.cat(streams, dim=1), torch.cat(keys, dim=1)  # (U, N, d), (U, N) with N = sum of T_m
        rescaling = Rescaling.of(self)
        rescale = rescaling and rescaling.over(keys)
        for joint in self.joint:
            x = joint(x, x, present, rescale)
        parts = torch.split(self.norm(x), [k.shape[1] for k in keys], dim=1)
        fused = [masked_mean_of(part, present) for part, present in zip(parts, keys, strict=True)]
        vector = self.dropout(torch.cat([*fused, *unimodal], dim=1))  # (U, 2 M d)
        return Prediction(self.head(torch.cat([vector, batch.available().to(vector)], dim=1)).float())
