"""SDR-GNN: spectral domain reconstruction graph neural network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers import graph
from lacuna.models.layers.branched import BranchedConfig, BranchedRecognizer, GraphBranch, TurnAttention
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class SDRGNNConfig(BranchedConfig):
    """Settings of :class:`SDRGNN`, in addition to those of :class:`BranchedConfig`.

    Attributes:
        heads: heads of the attention before the recovery head.
        balance: e, weight of the recovery loss, 0 to 1; the task loss has weight 1 - e.
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


class SdrBranch(GraphBranch):
    """Branch of SDR-GNN: a hypergraph convolution (low frequencies), then a gated convolution (high frequencies).

    Averaging over hyperedges keeps what neighbouring turns have in common. The weights of the gate can be negative and so keep
    their differences (FAGCN: Bo et al., AAAI 2021). On the graph of speakers there is one hyperedge for each kind of speaker,
    and the gate connects turns of the same speaker only.
    """

    def add_convolutions(self, width: int, inner: int, relations: int) -> None:
        """Create both convolutions."""
        from torch_geometric.nn import FAConv, HypergraphConv  # the import takes two seconds, so it waits for the first use

        self.by_speaker = relations == graph.SPEAKER
        self.shared = HypergraphConv(width, inner)
        self.gate = FAConv(inner)

    def messages(self, context: Tensor, edges: graph.Graph) -> Tensor:
        """Return (U, h / 2) from context vectors (U, width)."""
        hyperedges = graph.hyperwindows(edges, split=self.by_speaker)
        edges = edges.only(graph.SAME) if self.by_speaker else edges
        shared = nn.functional.leaky_relu(self.shared(context, hyperedges.index, num_edges=hyperedges.edges))
        gated: Tensor = self.gate(shared, shared, edges.edge_index)
        return gated


@register(
    "sdr_gnn",
    title=(
        "SDR-GNN: Spectral Domain Reconstruction Graph Neural Network for Incomplete Multimodal Learning in "
        "Conversational Emotion Recognition"
    ),
    task="graph",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2411.19822",
    year=2025,
    venue="Knowledge-Based Systems",
)
class SDRGNN(BranchedRecognizer):
    """Spectral Domain Reconstruction GNN of Fu et al. (Knowledge-Based Systems 2025, https://arxiv.org/abs/2411.19822).

    The structure is that of GCNet, with hypergraphs: in the temporal branch the turns around a turn form one hyperedge; in the
    speaker branch one for each kind of speaker (same, other). A frequency-aware convolution follows in each branch.

    .. math:: L = (1 - e) L_{task} + e L_{recovery}

    Differences from the published code: the speaker branch contributes to the loss (the code drops it from the sum); attention
    runs over the turns of a dialogue (in the code over the dialogues of the batch) and has any width; the recurrent networks are
    LSTMs, which are faster than GRUs on a CPU; and the differences that :class:`~lacuna.models.gcnet.GCNet` lists.
    """

    Config = SDRGNNConfig
    config: SDRGNNConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 512,
        "learning_rate": 0.002,
    }  # chosen on CMU-MOSI's valid

    def branch(self, relations: int) -> SdrBranch:
        """Return the branch of the graph with that number of relations."""
        return SdrBranch(2 * self.config.hidden, relations, self.config)

    def attention(self, width: int) -> TurnAttention:
        """Return the attention before the recovery head."""
        return TurnAttention(width, self.config.heads)

    @property
    def weights(self) -> tuple[float, float]:
        """Return the weights of the task loss and the recovery loss."""
        return 1 - self.config.balance, self.config.balance
