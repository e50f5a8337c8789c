"""Bidirectional GRU over the turns of a dialogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting as exporting
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.dialogue import Dialogues, reordered, reversal
from lacuna.models.layers.head import classifier
from lacuna.models.layers.paired_gru import read_pair
from lacuna.models.layers.pooling import full_precision, pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class ContextGRUConfig(Config):
    """Settings of :class:`ContextGRU`.

    Attributes:
        hidden: units of the projection and of each direction of the GRU.
        dropout: dropout rate before and after the GRU.
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
    """Bidirectional GRU over the zero-filled frame means and presence indicators of the turns of a dialogue.

    Neighbouring turns can replace what is missing in a turn. The model follows the contextual LSTM of Poria et al. (ACL 2017,
    https://aclanthology.org/P17-1081), with presence indicators.
    """

    Config = ContextGRUConfig
    config: ContextGRUConfig
    needs_dialogue = exports = gives_hidden = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width, hidden = sum(schema.dims.values()) + len(schema.dims), self.config.hidden
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(self.config.dropout))
        self.context = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(self.config.dropout), classifier(schema, 3 * hidden, self.config))
        self.hidden_width = 3 * hidden

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        utterance_vector = self.project(torch.cat([pooled(batch), batch.available().float()], dim=1))  # (U, hidden)
        dialogues = Dialogues.of(batch)
        padded = dialogues.pad(utterance_vector)  # (D, L, hidden)
        with full_precision(utterance_vector):
            if exporting():
                states = self._unpacked(padded.float(), dialogues.inside(padded.shape[1]))
                return self._answer(utterance_vector, dialogues.flat(states))
            packed = pack_padded_sequence(padded.float(), dialogues.lengths.cpu(), batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.context(packed)[0], batch_first=True, total_length=padded.shape[1])
        return self._answer(utterance_vector, dialogues.flat(states))  # (D, L, 2 hidden) -> (U, 2 hidden)

    def _answer(self, utterance_vector: Tensor, context_vector: Tensor) -> Prediction:
        """Logits (U, C) from (U, hidden) and (U, 2 hidden)."""
        hidden = torch.cat([utterance_vector, context_vector], dim=1)  # (U, 3 hidden)
        return Prediction(self.head(hidden), hidden=hidden)

    def _unpacked(self, padded: Tensor, inside: Tensor) -> Tensor:
        """The states (D, L, 2 hidden) that the packed network has, in shapes that depend on no values."""
        order = reversal(inside)
        weights = list(self.context.parameters())  # of the direction ahead, then of the other
        ahead, back = read_pair([weights[:4], weights[4:]], torch.stack([padded, reordered(padded, order)]))
        return torch.cat([ahead, reordered(back, order)], dim=2)
