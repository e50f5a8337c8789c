"""Affective responses to movies: each step alone by fully connected layers, or all steps in order by an LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_choices
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import full_precision, pooled
from lacuna.models.space import Choice, Space, Span

STEPS = ("lstm", "alone")


@dataclass(frozen=True)
class MovieAffectConfig(Config):
    """Settings of :class:`MovieAffect`.

    Attributes:
        hidden: units of each layer.
        dropout: dropout rate after each layer.
        steps: ``lstm`` reads the steps of a dialogue (a movie) in order; ``alone`` reads each step by fully connected layers.
    """

    hidden: int = 64
    dropout: float = 0.5
    steps: str = "lstm"
    space: ClassVar[Space] = {"hidden": Span(16, 256, log=True), "dropout": Span(0.0, 0.8), "steps": Choice(STEPS)}

    def __post_init__(self) -> None:
        check_bounds("movie_affect", self, hidden=(1, 65536), dropout=(0.0, 1.0))
        check_choices("movie_affect", self, steps=STEPS)


@register(
    "movie_affect",
    title="Multimodal Deep Models for Predicting Affective Responses Evoked by Movies",
    task="fusion",
    modalities=("audio", "vision"),
    paper="https://arxiv.org/abs/1909.06957",
    year=2019,
    venue="ICCV Workshops",
    reconstruction=True,
)
class MovieAffect(Recognizer):
    """Both models of Thao, Herremans and Roig (ICCV Workshops 2019), reconstructed from the abstract; ``steps`` chooses.

    A step is a turn: the frame means of all modalities are concatenated (early fusion) and pass a fully connected layer. Then
    either a second fully connected layer reads each step alone, or an LSTM reads the steps so far. In the paper, steps alone were
    slightly more accurate.

    The paper has image, optical flow and sound features of movies; here every modality of the corpus is concatenated. Decided
    here: numbers of layers and units; a missing modality adds nothing to the first layer, which also reads which modalities are
    available; the loss is the usual one of the target.
    """

    Config = MovieAffectConfig
    config: MovieAffectConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 16}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, width = self.config, sum(schema.dims.values()) + len(schema.dims)
        self.enter = nn.Sequential(nn.Linear(width, c.hidden), nn.ReLU(), nn.Dropout(c.dropout))
        self.step: nn.Module = (
            nn.LSTM(c.hidden, c.hidden, batch_first=True)
            if c.steps == "lstm"
            else nn.Sequential(nn.Linear(c.hidden, c.hidden), nn.ReLU())
        )
        self.dropout = nn.Dropout(c.dropout)
        self.head = classifier(schema, c.hidden, c)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        vector = self.enter(torch.cat([pooled(batch), batch.available().float()], dim=1))  # (U, H)
        if self.config.steps == "lstm":
            dialogues = Dialogues.of(batch)
            with full_precision(vector):  # padding comes after the last turn, where a network that reads ahead only ignores it
                states, _ = self.step(dialogues.pad(vector).float())  # (D, L, H)
            vector = dialogues.flat(states)  # (D, L, H) -> (U, H)
        else:
            vector = self.step(vector)
        return Prediction(self.head(self.dropout(vector)).float())
