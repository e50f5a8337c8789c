"""Models of conversations that complete and recognise at once, on two graphs: what GCNet and its heirs have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import fill_frames
from lacuna.models.layers.recovery import recovery_loss, with_presence
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.turn_attention import TurnAttention


@dataclass(frozen=True)
class BranchedConfig(Config):
    """Settings of every :class:`BranchedRecognizer`.

    Attributes:
        hidden: h, width of each direction of the first recurrent network; everything else follows from it.
        past: turns back that a turn hears in the graphs.
        future: turns ahead.
        dropout: share of units dropped in training: of the input, in the recurrent networks, and before the heads.
    """

    hidden: int = 100
    past: int = 2
    future: int = 2
    dropout: float = 0.5

    def check(self, model: str) -> None:
        """Check these settings, for the ``__post_init__`` of the config of that model.

        Raises:
            ConfigError: a value is out of bounds.
        """
        check_bounds(model, self, hidden=(2, 8192), past=(0, 1024), future=(0, 1024), dropout=(0.0, 1.0))


class BranchedRecognizer(Recognizer):
    """A recurrent network over the turns, then a branch on each of two graphs; their sum tells emotion and missing features.

    The graphs are that of earlier and later turns and that of the same and other speakers. A model says what a branch is, how
    its two losses are weighed, and whether the recovery attends to the other turns first.
    """

    config: BranchedConfig
    needs_dialogue = True
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, features = self.config, sum(schema.dims.values())
        wide = 2 * c.hidden + c.hidden // 2
        self.drop = nn.Dropout(c.dropout)
        self.context = TwoWayLSTM(features + len(schema.dims), c.hidden, 2, c.dropout)
        self.temporal, self.speakers = self.branch(graph.TEMPORAL), self.branch(graph.SPEAKER)
        self.head = classifier(schema, wide, c)
        self.attend = self.attention(wide)
        self.restore = nn.Linear(wide, features)

    @abstractmethod
    def branch(self, relations: int) -> nn.Module:
        """Of the graph with so many relations: context (U, 2 h), the graph, :class:`Dialogues` -> (U, 5 h / 2)."""

    def attention(self, width: int) -> TurnAttention | None:
        """What the recovery attends to the other turns with, if it does."""
        return None

    @property
    @abstractmethod
    def weights(self) -> tuple[float, float]:
        """Of the task and of the recovery."""

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (U, C) and recovered vectors (U, sum of d_m)."""
        c, dialogues = self.config, Dialogues.of(batch)
        context = self.drop(self.context(self.drop(with_presence(batch)), dialogues))  # (U, 2 h)
        by_time = graph.temporal(dialogues, c.past, c.future)
        by_speaker = graph.speakers(dialogues, batch.speaker, c.past, c.future)
        seen = self.temporal(context, by_time, dialogues) + self.speakers(context, by_speaker, dialogues)  # (U, 5 h / 2)
        return self.head(seen), self.restore(seen if self.attend is None else self.attend(seen, dialogues))

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        logits, vectors = self.read(batch)
        return Prediction(logits, fill_frames(batch, vectors))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Task loss and recovery loss, weighed."""
        logits, vectors = self.read(observed)
        task, recovery = self.weights
        return {
            "task": task * task_loss(self.schema.target, logits, observed.label),
            "recovery": recovery * recovery_loss(vectors, complete, observed),
        }


def narrowing(width: int, outside: int, dropout: float) -> nn.Sequential:
    """What ends a branch: (U, width) -> (U, outside)."""
    return nn.Sequential(nn.Linear(width, outside), nn.LeakyReLU(0.1), nn.Dropout(dropout))
