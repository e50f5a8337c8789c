"""A two-way GRU over the turns of a dialogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import full_precision, pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class ContextGRUConfig(Config):
    """Settings of :class:`ContextGRU`.

    Attributes:
        hidden: width of the projection and of each direction of the GRU.
        dropout: share of units dropped before and after the GRU in training.
    """

    hidden: int = 48
    dropout: float = 0.5
    space: ClassVar[Space] = {"hidden": Span(16, 256, log=True), "dropout": Span(0.0, 0.8)}

    def __post_init__(self) -> None:
        check_bounds("context_gru", self, hidden=(1, 65536), dropout=(0.0, 1.0))


@register(
    "context_gru",
    title="Bidirectional GRU over the turns of a dialogue",
    task="baseline",
    reference="Poria et al., Context-Dependent Sentiment Analysis in User-Generated Videos, ACL 2017",
)
class ContextGRU(Recognizer):
    """Frame means and presence bits of every turn, read forwards and backwards through the dialogue.

    What is missing in a turn can be made up for by its neighbours; the same idea as the contextual LSTM of
    Poria et al. (ACL 2017), with presence bits.
    """

    Config = ContextGRUConfig
    config: ContextGRUConfig
    needs_dialogue = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width, hidden = sum(schema.dims.values()) + len(schema.dims), self.config.hidden
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(self.config.dropout))
        self.context = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(self.config.dropout), classifier(schema, 3 * hidden, self.config))

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C)."""
        own = self.project(torch.cat([pooled(batch), batch.available().float()], dim=1))  # (U, hidden)
        dialogues = Dialogues.of(batch)
        padded = dialogues.pad(own)  # (D, L, hidden)
        with full_precision(own):
            packed = pack_padded_sequence(padded.float(), dialogues.lengths.cpu(), batch_first=True, enforce_sorted=False)
            read, _ = pad_packed_sequence(self.context(packed)[0], batch_first=True, total_length=padded.shape[1])
        around = dialogues.flat(read)  # (D, L, 2 hidden) -> (U, 2 hidden)
        return Prediction(self.head(torch.cat([own, around], dim=1)))
