"""SDR-GNN: spectral domain reconstruction graph neural network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers import graph
from lacuna.models.layers.branched import BranchedConfig, BranchedRecognizer, narrowing
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.turn_attention import TurnAttention
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class SDRGNNConfig(BranchedConfig):
    """Settings of :class:`SDRGNN`, beside those of :class:`BranchedConfig`.

    Attributes:
        heads: of the attention before the recovery head.
        balance: share of the recovery loss in the whole; the task has the rest.
    """

    past: int = 3
    future: int = 3
    heads: int = 4
    balance: float = 0.5
    space: ClassVar[Space] = {
        "hidden": Span(32, 200, step=4),
        "past": Span(1, 8),
        "future": Span(1, 8),
        "dropout": Span(0.0, 0.7),
        "balance": Span(0.05, 0.95),
    }

    def __post_init__(self) -> None:
        self.check("sdr_gnn")
        check_bounds("sdr_gnn", self, heads=(1, 1024), balance=(0.0, 1.0))


class SdrBranch(nn.Module):
    """One graph's view of a dialogue, its slow and its fast part.

    Averaging over hyperedges keeps what neighbouring turns share; the gate, whose sign is free, lets through what sets them apart
    (FAGCN: Bo et al., AAAI 2021).

    Args:
        width: of the context that comes in.
        by_speaker: its graph is that of speakers: a hyperedge a kind of speaker, and the gate hears the same speaker only.
        config: of the model.
    """

    def __init__(self, width: int, by_speaker: bool, config: SDRGNNConfig) -> None:
        super().__init__()
        self.by_speaker = by_speaker
        from torch_geometric.nn import FAConv, HypergraphConv  # two seconds to import, so only once it is used

        inner, wide = config.hidden // 2, width + config.hidden // 2
        self.shared = HypergraphConv(width, inner)
        self.gate = FAConv(inner)
        self.read = TwoWayLSTM(wide, wide, 2, config.dropout)
        self.narrow = narrowing(2 * wide, wide, config.dropout)

    def forward(self, context: Tensor, edges: graph.Graph, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width + h / 2)."""
        groups = graph.hyperwindows(edges, split=self.by_speaker)
        edges = edges.only(graph.SAME) if self.by_speaker else edges
        shared = nn.functional.leaky_relu(self.shared(context, groups.index, num_edges=groups.edges))
        heard = self.gate(shared, shared, edges.edge_index)
        narrowed: Tensor = self.narrow(self.read(torch.cat([context, heard], dim=1), dialogues))
        return narrowed


@register(
    "sdr_gnn",
    title=(
        "SDR-GNN: Spectral Domain Reconstruction Graph Neural Network for Incomplete Multimodal Learning in "
        "Conversational Emotion Recognition"
    ),
    task="graph",
    paper="https://arxiv.org/abs/2411.19822",
    year=2025,
    venue="Knowledge-Based Systems",
)
class SDRGNN(BranchedRecognizer):
    """Fu, Ai, Yang, Shou, Meng and Li: SDR-GNN, spectral domain reconstruction for incomplete multimodal recognition, 2024.

    GCNet whose graphs are hypergraphs: the turns around a turn are one hyperedge in the temporal branch, and one for each kind of
    speaker (same, other) in the speaker branch, whose gate hears the same speaker only. ``balance`` weighs its two losses.

    Other than in the published code, the speaker branch reaches the loss (there it is dropped from the sum), attention runs over
    the turns of a dialogue (there over the dialogues of the batch) and at any width, the recurrent networks are LSTMs (GRUs
    there; LSTMs are the faster ones on a CPU), and what is said of :class:`GCNet` holds here too.
    """

    Config = SDRGNNConfig
    config: SDRGNNConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 512,
        "learning_rate": 0.002,
    }  # chosen on CMU-MOSI's valid

    def branch(self, relations: int) -> SdrBranch:
        """Of the graph with so many relations."""
        return SdrBranch(2 * self.config.hidden, relations == graph.SPEAKER, self.config)

    def attention(self, width: int) -> TurnAttention:
        """Before the recovery head."""
        return TurnAttention(width, self.config.heads)

    @property
    def weights(self) -> tuple[float, float]:
        """Of the task and of the recovery."""
        return 1 - self.config.balance, self.config.balance
