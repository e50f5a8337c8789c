"""MoSE: experts of each modality with a shared down-projection, and balanced weights of the modalities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import check_bounds, check_multiples
from lacuna.models.layers.attention import masked_softmax
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.rescaling import RESCALING, Rescaling, RescalingConfig
from lacuna.models.layers.streams import FrameStreams, masked_mean_of
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class MoSEConfig(RescalingConfig):
    """Settings of :class:`MoSE`.

    Attributes:
        width: d, units of each frame; a multiple of ``heads``.
        rank: r, units of the shared down-projection.
        experts: E, up-projections of each modality.
        heads: heads of the fusion.
        layers: layers of the fusion.
        dropout: dropout rate.
        balance: weight of the divergence of the modality weights from equal ones.
        load: weight of the divergence of the mean gates from equal ones.
    """

    width: int = 48
    rank: int = 8
    experts: int = 4
    heads: int = 4
    layers: int = 1
    dropout: float = 0.2
    balance: float = 0.1
    load: float = 0.01
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "rank": Span(4, 32),
        "experts": Span(2, 8),
        "layers": Span(1, 3),
        "dropout": Span(0.0, 0.6),
        "balance": Span(0.003, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("mose", self, width=(1, 8192), rank=(1, 8192), experts=(1, 1024), heads=(1, 1024), layers=(1, 64))
        check_bounds("mose", self, dropout=(0.0, 1.0), balance=(0.0, 1e6), load=(0.0, 1e6), **RESCALING)
        check_multiples("mose", self, "heads", "width")


class ModalityExperts(nn.Module):
    r"""Experts of one modality: bottleneck networks that differ in their up-projection alone, mixed by a gate.

    .. math:: x' = x + \sum_e g_e B_e \phi(A x), \quad g = \mathrm{softmax}(G h)

    for a frame x, the mean h of the present frames of the utterance, and a down-projection A that all modalities share.

    Args:
        width: d.
        rank: r.
        experts: E.
    """

    def __init__(self, width: int, rank: int, experts: int) -> None:
        super().__init__()
        self.up = nn.Parameter(rank**-0.5 * torch.randn(experts, rank, width))
        self.gate = nn.Linear(width, experts)

    def forward(self, x: Tensor, down: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames (U, T, d) and the gates (U, E), whose rows sum to 1.

        Args:
            x: (U, T, d) frames.
            down: (U, T, r) their down-projection.
            mean: (U, d) mean of the present frames.
        """
        gates = self.gate(mean).softmax(dim=1)
        mixed = torch.einsum("ue,erd->urd", gates, self.up)
        return x + functional.gelu(down) @ mixed, gates


class Fused(NamedTuple):
    """Vectors (U, M, d), weights of the modalities (U, M), gates (U, M, E), and which modalities are available (U, M) bool."""

    vectors: Tensor
    weights: Tensor
    gates: Tensor
    available: Tensor


@register(
    "mose",
    title="Benchmarking and Bridging Emotion Conflicts for Multimodal Emotion Reasoning",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2508.01181",
    year=2025,
    venue="ACM Multimedia",
    reconstruction=True,
)
class MoSE(Recognizer):
    r"""Modality-specific experts of MoSEAR (arXiv 2508.01181) on extracted features, with its attention re-scaling as a setting.

    The frames of each modality pass its :class:`ModalityExperts`. Self-attention over the frames of all modalities fuses them;
    ``rescale`` balances its attention at inference (:class:`~lacuna.models.layers.rescaling.Rescaling`). The mean of each
    modality is multiplied by M times its weight w, a softmax over the available modalities, so that no modality dominates.

    .. math:: L = L_{task} + b \, KL(w || U) + l \, \mathrm{mean}_m KL(\bar g_m || U)

    The paper adapts a language model by low-rank updates; its code was not used. Decided here: experts are bottleneck networks on
    projected features; one down-projection for all modalities; gates read the mean of the frames; the load-balancing term is the
    divergence of the mean gate of a batch; any number of modalities (the paper balances audio and video). A missing modality is
    no key, has weight 0 and is in no regulariser: equal weights are those of the available modalities.
    """

    Config = MoSEConfig
    config: MoSEConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "rank": 4, "experts": 2, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.modality = nn.Parameter(0.02 * torch.randn(m, c.width))
        self.down = nn.Linear(c.width, c.rank, bias=False)
        self.experts = nn.ModuleList(ModalityExperts(c.width, c.rank, c.experts) for _ in range(m))
        self.fusion = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers))
        self.norm, self.dropout = nn.LayerNorm(c.width), nn.Dropout(c.dropout)
        self.weigh = nn.Linear(c.width, 1)
        self.head = classifier(schema, m * (c.width + 1), c)

    def fused(self, batch: Batch) -> Fused:
        """Return the fused vectors of each modality, 0 where it is missing, with weights and gates."""
        streams, keys = self.streams(batch)
        gates, expert_streams = [], []
        for x, present, code, experts in zip(streams, keys, self.modality, self.experts, strict=True):
            frames, gate = experts(x, self.down(x), masked_mean_of(x, present))
            expert_streams.append(frames + code)
            gates.append(gate)
        x, present = torch.cat(expert_streams, dim=1), torch.cat(keys, dim=1)  # (U, N, d), (U, N) with N = sum of T_m
        rescaling = Rescaling.of(self)
        rescale = rescaling and rescaling.over(keys)
        for layer in self.fusion:
            x = layer(x, x, present, rescale)
        parts = torch.split(self.norm(x), [k.shape[1] for k in keys], dim=1)
        vectors = torch.stack([masked_mean_of(part, k) for part, k in zip(parts, keys, strict=True)], dim=1)  # (U, M, d)
        available = batch.available()
        weights = masked_softmax(self.weigh(vectors).squeeze(2).float(), available)  # (U, M)
        return Fused(vectors, weights, torch.stack(gates, dim=1).float(), available)

    def answer(self, fused: Fused) -> Tensor:
        """Return logits (U, C)."""
        n_available = fused.available.sum(dim=1, keepdim=True)  # (U, 1)
        weighted = self.dropout(fused.vectors) * (n_available * fused.weights).to(fused.vectors).unsqueeze(2)  # (U, M, d)
        logits: Tensor = self.head(torch.cat([weighted.flatten(1), fused.available.to(weighted)], dim=1))  # (U, M d + M)
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.fused(batch)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and the regularisers of the modality weights and of the gates."""
        c, fused = self.config, self.fused(observed)
        mean_gates = masked_mean_of(fused.gates.transpose(0, 1), fused.available.T)  # (M, U, E) -> (M, E)
        load = divergence_from_equal(mean_gates, fused.available.any(dim=0).unsqueeze(1).expand_as(mean_gates))
        return {
            "task": self.task_loss(self.answer(fused), observed.label),
            "balance": c.balance * divergence_from_equal(fused.weights, fused.available).mean(),
            "load": c.load * load.mean(),
        }


def divergence_from_equal(weights: Tensor, available: Tensor) -> Tensor:
    """Return the KL divergence of each row of weights from equal weights of the available columns, (U,).

    Args:
        weights: (U, M), rows that sum to 1, 0 where not available.
        available: (U, M) bool; a row without any has divergence 0.
    """
    equal = 1 / available.sum(dim=1, keepdim=True).clamp_min(1)
    return (weights * (weights.clamp_min(1e-12) / equal).log() * available).sum(dim=1)
