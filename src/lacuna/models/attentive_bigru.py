"""Attentive bidirectional GRU over the turns of a dialogue, from one modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.attention import AttentionPooling, masked_softmax
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.recurrent import TwoWayGRU
from lacuna.models.layers.streams import modality_or_first
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class AttentiveBiGRUConfig(Config):
    """Settings of :class:`AttentiveBiGRU`.

    Attributes:
        hidden: units of an utterance and of each direction of the GRU.
        dropout: dropout rate before and after the GRU.
        modality: name of the modality that is read; the first modality if the corpus has no such one.
    """

    hidden: int = 48
    dropout: float = 0.5
    modality: str = "audio"
    space: ClassVar[Space] = {"hidden": Span(16, 128, log=True), "dropout": Span(0.0, 0.8)}

    def __post_init__(self) -> None:
        check_bounds("attentive_bigru", self, hidden=(1, 65536), dropout=(0.0, 1.0))


class SpeakerAttention(nn.Module):
    r"""Attention of each turn to all turns of its dialogue, with a bias for turns of the same speaker and one for the others.

    .. math:: \alpha_{ij} = \mathrm{softmax}_j(h_i^T W h_j / \sqrt w + b_{same(i, j)})

    Args:
        width: w, units of a turn.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.relation = nn.Linear(width, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(2))  # other speaker, same speaker

    def weights(self, states: Tensor, speaker: Tensor, keys: Tensor) -> Tensor:
        """Return (D, L, L) from states (D, L, w), speakers (D, L) and keys (D, L) bool; rows without keys are 0."""
        same = (speaker[:, :, None] == speaker[:, None]).long()  # (D, L, L)
        logits = self.relation(states) @ states.transpose(1, 2) / states.shape[-1] ** 0.5 + self.bias[same]
        return masked_softmax(logits, keys.unsqueeze(1))

    def forward(self, states: Tensor, speaker: Tensor, keys: Tensor) -> Tensor:
        """Return (D, L, w), the attended turns."""
        return self.weights(states, speaker, keys) @ states


@register(
    "attentive_bigru",
    title="Deep learning of segment-level feature representation for speech emotion recognition in conversations",
    task="fusion",
    modalities=("audio",),
    paper="https://arxiv.org/abs/2302.02419",
    year=2023,
    reconstruction=True,
)
class AttentiveBiGRU(Recognizer):
    """Attentive BiGRU of Luo, Phan and Reiss (arXiv 2302.02419) for one modality, reconstructed from its abstract.

    The frames of an utterance (segments with VGGish features in the paper) are pooled by attention; a bidirectional GRU reads the
    dialogue; each turn then attends to all of its turns (:class:`SpeakerAttention`). The head reads the state of the turn and the
    attended context. Other modalities are not read, so it does not matter whether they are missing.

    Decided here: the score of the attention; speakers enter as same or other, because embeddings of speakers do not exist for
    speakers outside of training. An utterance without the modality enters the GRU as a learned vector and is not attended to.
    """

    Config = AttentiveBiGRUConfig
    config: AttentiveBiGRUConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 16, "modality": "text"}  # every corpus of the test suite has text

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.modality = modality_or_first(schema, c.modality, "attentive_bigru")
        self.project = nn.Sequential(nn.Linear(schema.dims[self.modality], c.hidden), nn.GELU())
        self.pool = AttentionPooling(c.hidden)
        self.absent = nn.Parameter(0.02 * torch.randn(c.hidden))
        self.states = TwoWayGRU(c.hidden, c.hidden)
        self.context = SpeakerAttention(2 * c.hidden)
        self.dropout = nn.Dropout(c.dropout)
        self.head = classifier(schema, 4 * c.hidden + 1, c)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the one modality."""
        return (self.modality,)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        frames, present = batch.features[self.modality], batch.present[self.modality]
        dialogues, available = Dialogues.of(batch), present.any(dim=1, keepdim=True)  # (U, 1)
        utterance = self.pool(self.project(frames), present)  # (U, H)
        states = self.states(self.dropout(torch.where(available, utterance, self.absent.to(utterance))), dialogues)  # (D, L, 2 H)
        speaker, keys = (dialogues.pad(x).squeeze(2) for x in (batch.speaker.unsqueeze(1), available))  # (D, L) each
        both = dialogues.flat(torch.cat([states, self.context(states, speaker, keys)], dim=2))  # (D, L, 4 H) -> (U, 4 H)
        return Prediction(self.head(torch.cat([self.dropout(both), available.to(both)], dim=1)).float())
