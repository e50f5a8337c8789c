"""GCNet: graph completion network for incomplete conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers.branched import BranchedConfig, BranchedRecognizer, narrowing
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.graph import Graph
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.turn_attention import Matching
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class GCNetConfig(BranchedConfig):
    """Settings of :class:`GCNet`, beside those of :class:`BranchedConfig`; the defaults are the published widths for h = 100.

    Attributes:
        attention: each branch ends in matching attention between the turns.
        recovery: weight of the recovery loss.
    """

    attention: bool = False
    recovery: float = 1.0
    space: ClassVar[Space] = {
        "hidden": Span(32, 200, step=4),
        "past": Span(1, 8),
        "future": Span(1, 8),
        "attention": Choice((False, True)),
        "dropout": Span(0.0, 0.7),
        "recovery": Span(0.1, 10.0, log=True),
    }

    def __post_init__(self) -> None:
        self.check("gcnet")
        check_bounds("gcnet", self, attention=(False, True), recovery=(0.0, 1e6))


class GcnBranch(nn.Module):
    """One graph's view of a dialogue: relational convolution, convolution, recurrent network.

    Args:
        width: of the context that comes in.
        relations: of the graph.
        config: of the model.
    """

    def __init__(self, width: int, relations: int, config: GCNetConfig) -> None:
        super().__init__()
        from torch_geometric.nn import GraphConv, RGCNConv  # two seconds to import, so only once it is used

        inner, wide = config.hidden // 2, width + config.hidden // 2
        self.by_relation = RGCNConv(width, inner, relations, aggr="mean")
        self.around = GraphConv(inner, inner)
        self.read = TwoWayLSTM(wide, wide, 2, config.dropout)
        self.match = Matching(2 * wide) if config.attention else None
        self.narrow = narrowing(2 * wide, wide, config.dropout)

    def forward(self, context: Tensor, edges: Graph, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width + h / 2)."""
        heard = self.by_relation(context, edges.edge_index, edges.relation)
        heard = self.around(heard, edges.edge_index)
        read = self.read(torch.cat([context, heard], dim=1), dialogues)
        return self.narrow(read if self.match is None else self.match(read, dialogues))  # type: ignore[no-any-return]


@register(
    "gcnet",
    title="GCNet: Graph Completion Network for Incomplete Multimodal Learning in Conversation",
    task="graph",
    paper="https://arxiv.org/abs/2203.02177",
    year=2023,
    venue="IEEE TPAMI",
)
class GCNet(BranchedRecognizer):
    """Lian, Chen, Sun, Liu and Tao: GCNet, IEEE TPAMI 45(7), 2023.

    A recurrent network over the turns; then two branches, one on the graph of earlier and later turns, one on the graph of the
    same and other speakers; their sum predicts both the emotion and the features that were missing, so that completion and
    recognition learn from each other.

    Other than in the published code, missing is told from zero by presence bits, the recovery loss is taken at the missing slots
    of real turns (there it met padding), the input is standardised, no recurrent network is built and left unused, units cannot
    die (leaky ReLU), and any number of speakers is allowed: relations are same and other.
    """

    Config = GCNetConfig
    config: GCNetConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 512,
        "learning_rate": 0.002,
    }  # chosen on CMU-MOSI's valid

    def branch(self, relations: int) -> GcnBranch:
        """Of the graph with so many relations."""
        return GcnBranch(2 * self.config.hidden, relations, self.config)

    @property
    def weights(self) -> tuple[float, float]:
        """Of the task and of the recovery."""
        return 1.0, self.config.recovery
