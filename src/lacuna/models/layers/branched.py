"""What GCNet and SDR-GNN share: a recurrent network, two graph branches, and heads for the emotion and the missing features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import fill_frames, masked_mean, pooled
from lacuna.models.layers.recurrent import TwoWayLSTM


@dataclass(frozen=True)
class BranchedConfig(Config):
    """Settings of every :class:`BranchedRecognizer`.

    Attributes:
        hidden: h, units of each direction of the first recurrent network; the other widths follow from it.
        past: number of earlier turns that a turn is connected to in the graphs.
        future: number of later turns that a turn is connected to.
        dropout: dropout rate of the input, in the recurrent networks, and before the heads.
    """

    hidden: int = 100
    past: int = 2
    future: int = 2
    dropout: float = 0.5

    def check(self, model: str) -> None:
        """Check these settings; called in ``__post_init__`` of the config of the model.

        Raises:
            ConfigError: a value is out of bounds.
        """
        check_bounds(model, self, hidden=(2, 8192), past=(0, 1024), future=(0, 1024), dropout=(0.0, 1.0))


class GraphBranch(nn.Module, ABC):
    """Message passing on one graph of a dialogue, then a recurrent network over its turns.

    Args:
        width: units of the input for each turn.
        relations: number of relations of the graph.
        config: settings of the model.
        matching: end with :class:`Matching` attention between the turns.
    """

    def __init__(self, width: int, relations: int, config: BranchedConfig, *, matching: bool = False) -> None:
        super().__init__()
        inner, wide = config.hidden // 2, width + config.hidden // 2
        self.add_convolutions(width, inner, relations)
        self.read = TwoWayLSTM(wide, wide, 2, config.dropout)
        self.match = Matching(2 * wide) if matching else None
        self.narrow = nn.Sequential(nn.Linear(2 * wide, wide), nn.LeakyReLU(0.1), nn.Dropout(config.dropout))

    @abstractmethod
    def add_convolutions(self, width: int, inner: int, relations: int) -> None:
        """Create the graph convolutions, from ``width`` to ``inner`` = h / 2 units."""

    @abstractmethod
    def messages(self, context: Tensor, edges: graph.Graph) -> Tensor:
        """Return the result (U, h / 2) of message passing from context vectors (U, width)."""

    def forward(self, context: Tensor, edges: graph.Graph, dialogues: Dialogues) -> Tensor:
        """Return turns (U, width + h / 2) from context vectors (U, width)."""
        states = self.read(torch.cat([context, self.messages(context, edges)], dim=1), dialogues)
        narrowed: Tensor = self.narrow(states if self.match is None else self.match(states, dialogues))
        return narrowed


class BranchedRecognizer(Recognizer):
    """A recurrent network over the turns, then one branch on each of two graphs; two heads read the sum of the branches.

    One graph distinguishes earlier and later turns, the other one same and other speakers. One head predicts the emotion, the
    other one the missing features. A model defines its branch, the weights of the two losses, and whether attention between the
    turns comes before the recovery head.
    """

    config: BranchedConfig
    needs_dialogue = True
    recovers = True
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 16}

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
    def branch(self, relations: int) -> GraphBranch:
        """Return the branch of the graph with that number of relations."""

    def attention(self, width: int) -> TurnAttention | None:
        """Return the attention before the recovery head, if there is one."""
        return None

    @property
    @abstractmethod
    def weights(self) -> tuple[float, float]:
        """Return the weights of the task loss and the recovery loss."""

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (U, C) and recovered frame means (U, sum of d_m)."""
        c, dialogues = self.config, Dialogues.of(batch)
        inputs = torch.cat([pooled(batch), batch.available().float()], dim=1)  # (U, sum of d_m + M)
        context = self.drop(self.context(self.drop(inputs), dialogues))  # (U, 2 h)
        by_time = graph.temporal(dialogues, c.past, c.future)
        by_speaker = graph.speakers(dialogues, batch.speaker, c.past, c.future)
        turns = self.temporal(context, by_time, dialogues) + self.speakers(context, by_speaker, dialogues)  # (U, 5 h / 2)
        return self.head(turns), self.restore(turns if self.attend is None else self.attend(turns, dialogues))

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and recovered frames."""
        logits, vectors = self.read(batch)
        return Prediction(logits, fill_frames(batch, vectors))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the weighted task loss and recovery loss."""
        logits, vectors = self.read(observed)
        task_weight, recovery_weight = self.weights
        return {
            "task": task_weight * self.task_loss(logits, observed.label),
            "recovery": recovery_weight * recovery_loss(vectors, complete, observed),
        }


def recovery_loss(vectors: Tensor, complete: Batch, observed: Batch) -> Tensor:
    """Return the squared error of the recovered frame means of hidden frames (GCNet).

    Args:
        vectors: (U, sum of d_m) recovered frame means, in the order of ``complete.features``.
        complete: everything that the corpus holds; what it lacks has no target.
        observed: the same utterances under the mask.

    Returns:
        A scalar: mean over d_m, sum over modalities, mean over all utterances. The target is the mean of the hidden frames.
    """
    total, low = vectors.new_zeros(()), 0
    for name, features in complete.features.items():
        high = low + features.shape[-1]
        hidden = complete.present[name] & ~observed.present[name]  # (U, T)
        target = masked_mean(features * hidden.unsqueeze(-1), hidden)  # (U, d)
        error = (vectors[:, low:high] - target).square().mean(dim=1)
        total = total + (error * hidden.any(dim=1)).sum()
        low = high
    return total / max(1, len(vectors))


class Matching(nn.Module):
    r"""Matching attention of GCNet: each turn becomes a weighted mean of all turns of its dialogue.

    .. math:: h'_i = \sum_j \mathrm{softmax}_j(\tanh(h_j^T W h_i)) h_j

    Args:
        width: units of a turn.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.asks = nn.Linear(width, width)  # the queries

    def forward(self, turns: Tensor, dialogues: Dialogues) -> Tensor:
        """Return turns (U, width) from turns (U, width)."""
        padded = dialogues.pad(turns)  # (U, width) -> (D, L, width)
        scores = torch.tanh(self.asks(padded) @ padded.mT)  # (D, L, L)
        scores = scores.masked_fill(~dialogues.inside(padded.shape[1])[:, None], -torch.inf)
        return dialogues.flat(scores.softmax(dim=2) @ padded)  # (D, L, width) -> (U, width)


class TurnAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017) between the turns of a dialogue, added to the input.

    Args:
        width: units of a turn; need not be a multiple of ``heads``.
        heads: number of heads.
        size: units of a head.
    """

    def __init__(self, width: int, heads: int, size: int = 16) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.read = nn.Linear(width, 3 * heads * size)
        self.write = nn.Linear(heads * size, width)

    def forward(self, turns: Tensor, dialogues: Dialogues) -> Tensor:
        """Return turns (U, width) from turns (U, width)."""
        padded = dialogues.pad(self.read(turns))  # (U, 3 H e) -> (D, L, 3 H e)
        d, length, _ = padded.shape
        q, k, v = padded.view(d, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)  # (D, L, 3 H e) -> each (D, H, L, e)
        inside = dialogues.inside(length)[:, None, None]  # (D, 1, 1, L)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=inside)
        attended = attended.transpose(1, 2).reshape(d, length, -1)  # (D, H, L, e) -> (D, L, H e)
        update: Tensor = self.write(dialogues.flat(attended))  # (D, L, H e) -> (U, H e) -> (U, width)
        return turns + update
