"""SDR-GNN: spectral domain reconstruction graph neural network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import fill_frames
from lacuna.models.layers.recovery import recovery_loss, with_presence
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.turn_attention import TurnAttention
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class SDRGNNConfig(Config):
    """Settings of :class:`SDRGNN`.

    Attributes:
        hidden: h, width of each direction of the first recurrent network; everything else follows from it.
        past: turns back that a turn hears in the graphs.
        future: turns ahead.
        heads: of the attention before the recovery head.
        dropout: share of units dropped in training: of the input, in the recurrent networks, and before the heads.
        balance: share of the recovery loss in the whole; the task has the rest.
    """

    hidden: int = 100
    past: int = 3
    future: int = 3
    heads: int = 4
    dropout: float = 0.5
    balance: float = 0.5
    space: ClassVar[Space] = {
        "hidden": Span(32, 200, step=4),
        "past": Span(1, 8),
        "future": Span(1, 8),
        "dropout": Span(0.0, 0.7),
        "balance": Span(0.05, 0.95),
    }

    def __post_init__(self) -> None:
        check_bounds("sdr_gnn", self, hidden=(2, 8192), past=(0, 1024), future=(0, 1024), dropout=(0.0, 1.0))
        check_bounds("sdr_gnn", self, heads=(1, 1024), balance=(0.0, 1.0))


class Branch(nn.Module):
    """One graph's view of a dialogue, its slow and its fast part.

    Averaging over hyperedges keeps what neighbouring turns share; the gate, whose sign is free, lets through what sets them apart
    (FAGCN: Bo et al., AAAI 2021).

    Args:
        width: of the context that comes in.
        config: of the model.
    """

    def __init__(self, width: int, config: SDRGNNConfig) -> None:
        super().__init__()
        from torch_geometric.nn import FAConv, HypergraphConv  # two seconds to import, so only once it is used

        inner, wide = config.hidden // 2, width + config.hidden // 2
        self.shared = HypergraphConv(width, inner)
        self.gate = FAConv(inner)
        self.read = TwoWayLSTM(wide, wide, 2, config.dropout)
        self.narrow = nn.Sequential(nn.Linear(2 * wide, wide), nn.LeakyReLU(0.1), nn.Dropout(config.dropout))

    def forward(self, context: Tensor, groups: graph.Hypergraph, edges: graph.Graph, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width + h / 2)."""
        shared = nn.functional.leaky_relu(self.shared(context, groups.index, num_edges=groups.edges))
        heard = self.gate(shared, shared, edges.edge_index)
        narrowed: Tensor = self.narrow(self.read(torch.cat([context, heard], dim=1), dialogues))
        return narrowed


@register("sdr_gnn")
class SDRGNN(Recognizer):
    """Fu, Ai, Yang, Shou, Meng and Li: SDR-GNN, spectral domain reconstruction for incomplete multimodal recognition, 2024.

    GCNet whose graphs are hypergraphs: the turns around a turn are one hyperedge in the temporal branch, and one for each kind of
    speaker (same, other) in the speaker branch, whose gate hears the same speaker only. ``balance`` weighs its two losses.

    Other than in the published code, the speaker branch reaches the loss (there it is dropped from the sum), attention runs over
    the turns of a dialogue (there over the dialogues of the batch) and at any width, the recurrent networks are LSTMs (GRUs
    there; LSTMs are the faster ones on a CPU), and what is said of :class:`GCNet` holds here too.
    """

    Config = SDRGNNConfig
    config: SDRGNNConfig
    needs_dialogue = True
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, features = self.config, sum(schema.dims.values())
        wide = 2 * c.hidden + c.hidden // 2
        self.drop = nn.Dropout(c.dropout)
        self.context = TwoWayLSTM(features + len(schema.dims), c.hidden, 2, c.dropout)
        self.temporal = Branch(2 * c.hidden, c)
        self.speakers = Branch(2 * c.hidden, c)
        self.head = classifier(schema, wide, c)
        self.attend = TurnAttention(wide, c.heads)
        self.restore = nn.Linear(wide, features)

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (U, C) and recovered vectors (U, sum of d_m)."""
        c, dialogues = self.config, Dialogues.of(batch)
        context = self.drop(self.context(self.drop(with_presence(batch)), dialogues))  # (U, 2 h)
        by_time = graph.temporal(dialogues, c.past, c.future)
        by_speaker = graph.speakers(dialogues, batch.speaker, c.past, c.future)
        seen = self.temporal(context, graph.hyperwindows(by_time), by_time, dialogues)
        seen = seen + self.speakers(context, graph.hyperwindows(by_speaker, split=True), by_speaker.only(graph.SAME), dialogues)
        return self.head(seen), self.restore(self.attend(seen, dialogues))

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        logits, vectors = self.read(batch)
        return Prediction(logits, fill_frames(batch, vectors))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Task loss and recovery loss, weighed by ``balance``."""
        logits, vectors = self.read(observed)
        share = self.config.balance
        return {
            "task": (1 - share) * task_loss(self.schema.target, logits, observed.label),
            "recovery": share * recovery_loss(vectors, complete, observed),
        }
