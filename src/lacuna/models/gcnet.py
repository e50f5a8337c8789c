"""GCNet: graph completion network for incomplete conversations."""

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
from lacuna.models.layers.turn_attention import Matching
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class GCNetConfig(Config):
    """Settings of :class:`GCNet`; the defaults are the published widths for h = 100.

    Attributes:
        hidden: h, width of each direction of the first recurrent network; everything else follows from it.
        past: turns back that a turn hears in the graphs.
        future: turns ahead.
        attention: each branch ends in matching attention between the turns.
        dropout: share of units dropped in training: of the input, in the recurrent networks, and before the heads.
        recovery: weight of the recovery loss.
    """

    hidden: int = 100
    past: int = 2
    future: int = 2
    attention: bool = False
    dropout: float = 0.5
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
        check_bounds("gcnet", self, hidden=(2, 8192), past=(0, 1024), future=(0, 1024), dropout=(0.0, 1.0))
        check_bounds("gcnet", self, attention=(False, True), recovery=(0.0, 1e6))


class Branch(nn.Module):
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
        self.narrow = nn.Sequential(nn.Linear(2 * wide, wide), nn.LeakyReLU(0.1), nn.Dropout(config.dropout))

    def forward(self, context: Tensor, edges: graph.Graph, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width + h / 2)."""
        heard = self.by_relation(context, edges.edge_index, edges.relation)
        heard = self.around(heard, edges.edge_index)
        read = self.read(torch.cat([context, heard], dim=1), dialogues)
        return self.narrow(read if self.match is None else self.match(read, dialogues))  # type: ignore[no-any-return]


@register("gcnet")
class GCNet(Recognizer):
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
    needs_dialogue = True
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, features = self.config, sum(schema.dims.values())
        wide = 2 * c.hidden + c.hidden // 2
        self.drop = nn.Dropout(c.dropout)
        self.context = TwoWayLSTM(features + len(schema.dims), c.hidden, 2, c.dropout)
        self.temporal = Branch(2 * c.hidden, graph.TEMPORAL, c)
        self.speakers = Branch(2 * c.hidden, graph.SPEAKER, c)
        self.head = classifier(schema, wide, c)
        self.restore = nn.Linear(wide, features)

    def read(self, batch: Batch) -> Tensor:
        """(U, 5 h / 2): every turn as both branches see it."""
        c, dialogues = self.config, Dialogues.of(batch)
        context = self.drop(self.context(self.drop(with_presence(batch)), dialogues))  # (U, 2 h)
        by_time = graph.temporal(dialogues, c.past, c.future)
        by_speaker = graph.speakers(dialogues, batch.speaker, c.past, c.future)
        seen: Tensor = self.temporal(context, by_time, dialogues) + self.speakers(context, by_speaker, dialogues)
        return seen

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        seen = self.read(batch)
        return Prediction(self.head(seen), fill_frames(batch, self.restore(seen)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Task loss and weighted recovery loss."""
        seen = self.read(observed)
        return {
            "task": task_loss(self.schema.target, self.head(seen), observed.label),
            "recovery": self.config.recovery * recovery_loss(self.restore(seen), complete, observed),
        }
