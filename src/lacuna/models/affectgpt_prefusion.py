"""AffectGPT's pre-fusion: a few learned query tokens read the frames of all modalities before the classifier."""

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
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.rescaling import RESCALING, Rescaling, RescalingConfig
from lacuna.models.layers.streams import FrameStreams, masked_mean_of
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class AffectGPTPrefusionConfig(RescalingConfig):
    """Settings of :class:`AffectGPTPrefusion`.

    Attributes:
        width: d, units of each token; a multiple of ``heads``.
        queries: k, learned query tokens.
        heads: heads of each attention.
        layers: layers in which the queries read the frames.
        dropout: dropout rate.
    """

    width: int = 48
    queries: int = 4
    heads: int = 4
    layers: int = 2
    dropout: float = 0.2
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "queries": Span(1, 16),
        "layers": Span(1, 4),
        "dropout": Span(0.0, 0.6),
    }

    def __post_init__(self) -> None:
        check_bounds("affectgpt_prefusion", self, width=(1, 8192), queries=(1, 1024), heads=(1, 1024), layers=(1, 64))
        check_bounds("affectgpt_prefusion", self, dropout=(0.0, 1.0), **RESCALING)
        check_multiples("affectgpt_prefusion", self, "heads", "width")


@register(
    "affectgpt_prefusion",
    title="AffectGPT: A New Dataset, Model, and Benchmark for Emotion Understanding with Multimodal Large Language Models",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2501.16566",
    year=2025,
    venue="ICML",
    reconstruction=True,
)
class AffectGPTPrefusion(Recognizer):
    """Pre-fusion of AffectGPT (Lian et al., ICML 2025) with a small classifier in place of the language model.

    The k query tokens attend to the frames of all modalities, layer by layer (a small Q-Former). The k fused tokens are appended
    to one token of each modality, the mean of its frames; one self-attention layer reads them all. The head reads the k fused
    tokens, the tokens of the modalities, and which modalities are available.

    Only the idea of the pre-fusion is the paper's; its code was not used. Decided here: the sizes, the self-attention layer and
    the head, text as one more modality (the paper fuses audio and video, and the language model reads the text). Frames that are
    not present are no keys, so the queries give no attention to a missing modality; its token is masked too.
    """

    Config = AffectGPTPrefusionConfig
    config: AffectGPTPrefusionConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "queries": 2, "heads": 2, "layers": 1}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.modality = nn.Parameter(0.02 * torch.randn(m, c.width))
        self.queries = nn.Parameter(c.width**-0.5 * torch.randn(c.queries, c.width))
        self.prefusion = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers))
        self.reader = CrossModalReading(c.width, c.heads, c.dropout)
        self.norm, self.dropout = nn.LayerNorm(c.width), nn.Dropout(c.dropout)
        self.head = classifier(schema, (c.queries + m) * c.width + m, c)

    def tokens(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Return the frames with modality codes, one (U, T_m, d) for each modality, and which exist, (U, T_m) bool each."""
        streams, keys = self.streams(batch)
        return [x + code for x, code in zip(streams, self.modality, strict=True)], keys

    def attention(self, batch: Batch) -> Tensor:
        """Return the attention of each query to each modality in the first layer, before re-scaling, (U, k, M), mean over heads.

        A row can sum to less than 1; the learned key has the rest.
        """
        streams, keys = self.tokens(batch)
        weights = self.prefusion[0].weights(self._start(batch), torch.cat(streams, dim=1), torch.cat(keys, dim=1))  # type: ignore[operator]
        parts = torch.split(weights.mean(dim=1), [k.shape[1] for k in keys], dim=2)  # (U, H, k, N) -> (U, k, N) -> (U, k, T_m)
        return torch.stack([part.sum(dim=2) for part in parts], dim=2)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        streams, keys = self.tokens(batch)
        frames, present = torch.cat(streams, dim=1), torch.cat(keys, dim=1)  # (U, N, d), (U, N) with N = sum of T_m
        rescaling = Rescaling.of(self)
        rescale = rescaling and rescaling.over(keys)
        fused = self._start(batch)
        for layer in self.prefusion:
            fused = layer(fused, frames, present, rescale)
        available = batch.available()
        means = torch.stack([masked_mean_of(x, k) for x, k in zip(streams, keys, strict=True)], dim=1)  # (U, M, d)
        tokens = torch.cat([means, fused.to(means)], dim=1)  # (U, M + k, d)
        exists = torch.cat([available, available.new_ones(fused.shape[:2])], dim=1)
        read = self.norm(self.reader(tokens, tokens, exists)) * exists.unsqueeze(2)
        inputs = torch.cat([self.dropout(read).flatten(1), available.to(read)], dim=1)  # (U, (M + k) d + M)
        return Prediction(self.head(inputs).float())

    def _start(self, batch: Batch) -> Tensor:
        """Return the query tokens of each utterance, (U, k, d)."""
        return self.queries.expand(len(batch), -1, -1)
