"""MMoLRE: several targets at once, with shared and private low-rank experts for each modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.attention import masked_softmax
from lacuna.models.layers.head import classifier
from lacuna.models.layers.low_rank_experts import SharedAndPrivateExperts
from lacuna.models.layers.streams import masked_mean_of, projections
from lacuna.models.space import Choice, Space, Span

TARGET = "target."  # prefix of the answers for auxiliary targets in Prediction.auxiliary


@dataclass(frozen=True)
class MMoLREConfig(Config):
    """Settings of :class:`MMoLRE`.

    Attributes:
        width: d, channels of each frame after projection.
        rank: r, channels inside an expert.
        experts: N, experts that all tasks share; each task has one of its own in addition.
        layers: blocks of each modality.
        dropout: dropout rate before the heads.
    """

    width: int = 48
    rank: int = 8
    experts: int = 3
    layers: int = 2
    dropout: float = 0.3
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 64, 128)),
        "rank": Span(2, 32, log=True),
        "experts": Span(1, 8),
        "layers": Span(1, 3),
        "dropout": Span(0.0, 0.6),
    }

    def __post_init__(self) -> None:
        check_bounds("mmolre", self, width=(1, 8192), rank=(1, 8192), experts=(1, 64), layers=(1, 16), dropout=(0.0, 1.0))


@register(
    "mmolre",
    title="Multimodal Mixture of Low-Rank Experts for Sentiment Analysis and Emotion Recognition",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2505.14143",
    year=2025,
    venue="ICME",
    reconstruction=True,
)
class MMoLRE(Recognizer):
    r"""Mixture of low-rank experts for the main target and the auxiliary targets (arXiv 2505.14143), a reconstruction.

    The frames of each modality are projected and pass through blocks of
    :class:`~lacuna.models.layers.low_rank_experts.SharedAndPrivateExperts`, with one stream for each target. Then each target
    weighs the means of the available modalities, :math:`h^\tau = \sum_m \mathrm{softmax}_m(u^\tau \cdot x_m^\tau) x_m^\tau`, and
    its head reads h and which modalities are available. Without auxiliary targets there is one task. Decided here: the fusion by
    a weight for each modality, layer norms, and the input, which is frames of given features instead of the hidden states of
    RoBERTa and data2vec. A missing modality has weight 0; a missing frame inside a sequence is read as padding of the
    convolutions.
    """

    Config = MMoLREConfig
    config: MMoLREConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.0015}  # chosen by experiments/defaults/small.py
    gives_hidden = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "rank": 4, "experts": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, tasks = self.config, 1 + len(schema.auxiliary)
        self.project = projections(schema, c.width)
        self.blocks = nn.ModuleDict(
            {
                m: nn.ModuleList(SharedAndPrivateExperts(c.width, c.rank, c.experts, tasks) for _ in range(c.layers))
                for m in schema.dims
            }
        )
        self.weigh = nn.ModuleList(nn.Linear(c.width, 1) for _ in range(tasks))
        self.dropout = nn.Dropout(c.dropout)
        self.hidden_width = c.width + len(schema.dims)
        self.head = classifier(schema, self.hidden_width, c)
        self.auxiliary_heads.extend(nn.Linear(self.hidden_width, target.width) for target in schema.auxiliary)

    def add_auxiliary_heads(self) -> None:
        """Add nothing: the heads of the auxiliary targets are there already, each with a stream of its own."""

    def hidden(self, batch: Batch) -> list[Tensor]:
        """Return the hidden vector of each target, (U, d + M) each, the main target first."""
        means: list[list[Tensor]] = []  # by modality, then by target
        for name, frames in batch.features.items():
            present = batch.present[name]  # (U, T)
            x = self.project[name](frames) * present.unsqueeze(2)  # (U, T, d)
            streams = [x] * len(self.weigh)
            for block in self.blocks[name]:  # type: ignore[attr-defined]
                streams = block(streams, present)
            means.append([masked_mean_of(stream, present) for stream in streams])
        available = batch.available()  # (U, M)
        vectors = []
        for weigh, of_target in zip(self.weigh, zip(*means, strict=True), strict=True):
            stacked = torch.stack(of_target, dim=1)  # (U, M, d)
            weights = masked_softmax(weigh(stacked).squeeze(2), available)  # (U, M)
            fused = (weights.unsqueeze(1) @ stacked).squeeze(1)  # (U, 1, M) @ (U, M, d) -> (U, d)
            vectors.append(self.dropout(torch.cat([fused, available.to(fused)], dim=1)))
        return vectors

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C), and in ``auxiliary`` the answers for the auxiliary targets."""
        main, *others = self.hidden(batch)
        heads = zip(self.schema.auxiliary, self.auxiliary_heads, others, strict=True)
        auxiliary = {TARGET + target.name: head(vector).float() for target, head, vector in heads}
        return Prediction(self.head(main).float(), auxiliary=auxiliary, hidden=main)

    def auxiliary_logits(self, prediction: Prediction) -> list[Tensor]:
        """Return the answers for the auxiliary targets, (U, C_k) or (U, 1) each, in the order of ``schema.auxiliary``."""
        return [prediction.auxiliary[TARGET + target.name] for target in self.schema.auxiliary]
