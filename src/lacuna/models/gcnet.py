"""GCNet: graph completion network for conversations with missing modalities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers.branched import BranchedConfig, BranchedRecognizer, GraphBranch
from lacuna.models.layers.graph import Graph
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class GCNetConfig(BranchedConfig):
    """Settings of :class:`GCNet`, in addition to those of :class:`BranchedConfig`.

    The default widths are the published ones (h = 100).

    Attributes:
        attention: each branch ends with matching attention between the turns.
        recovery: weight of the recovery loss; the task loss has weight 1.
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


class GcnBranch(GraphBranch):
    """Branch of GCNet: a relational graph convolution, then a graph convolution."""

    def add_convolutions(self, width: int, inner: int, relations: int) -> None:
        """Create both convolutions."""
        from torch_geometric.nn import GraphConv, RGCNConv  # the import takes two seconds, so it waits for the first use

        self.by_relation = RGCNConv(width, inner, relations, aggr="mean")
        self.around = GraphConv(inner, inner)

    def messages(self, context: Tensor, edges: Graph) -> Tensor:
        """Return (U, h / 2) from context vectors (U, width)."""
        convolved: Tensor = self.around(self.by_relation(context, edges.edge_index, edges.relation), edges.edge_index)
        return convolved


@register(
    "gcnet",
    title="GCNet: Graph Completion Network for Incomplete Multimodal Learning in Conversation",
    task="graph",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2203.02177",
    year=2023,
    venue="IEEE TPAMI",
)
class GCNet(BranchedRecognizer):
    """Graph Completion Network of Lian, Chen, Sun, Liu and Tao (IEEE TPAMI 45(7), 2023, https://arxiv.org/abs/2203.02177).

    A recurrent network reads the turns. Two branches follow: one on the graph of earlier and later turns, one on the graph of
    same and other speakers. Their sum predicts the emotion and the missing features, so completion and recognition are trained
    jointly:

    .. math:: L = L_{task} + w L_{recovery}

    Differences from the published code: presence indicators distinguish missing values from zeros; the recovery loss is taken at
    missing modalities of real turns (the code includes padding); the input is standardised; no recurrent network is created
    without use; leaky ReLU replaces ReLU; relations are "same" and "other" speaker, for any number of speakers.
    """

    Config = GCNetConfig
    config: GCNetConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 512,
        "learning_rate": 0.002,
        "ema": 0.98,
    }  # chosen on CMU-MOSI's valid; ema by experiments/defaults/small.py

    def branch(self, relations: int) -> GcnBranch:
        """Return the branch of the graph with that number of relations."""
        return GcnBranch(2 * self.config.hidden, relations, self.config, matching=self.config.attention)

    @property
    def weights(self) -> tuple[float, float]:
        """Return the weights of the task loss and the recovery loss."""
        return 1.0, self.config.recovery
