"""Regression head on the frames of one speech encoder, trained with the concordance correlation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.concordance import concordance_loss
from lacuna.models.layers.head import classifier
from lacuna.models.layers.label_statistics import label_statistics
from lacuna.models.layers.pooling import masked_mean
from lacuna.models.layers.streams import modality_or_first
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class W2V2DimConfig(Config):
    """Settings of :class:`W2V2Dim`.

    Attributes:
        hidden: units of the hidden layer; the paper has as many as the encoder.
        dropout: dropout rate before both layers.
        modality: name of the modality that is read; the first modality if the corpus has no such one.
    """

    hidden: int = 128
    dropout: float = 0.3
    modality: str = "audio"
    space: ClassVar[Space] = {"hidden": Span(16, 512, log=True), "dropout": Span(0.0, 0.7)}

    def __post_init__(self) -> None:
        check_bounds("w2v2_dim", self, hidden=(1, 65536), dropout=(0.0, 1.0))


@register(
    "w2v2_dim",
    title="Dawn of the transformer era in speech emotion recognition: closing the valence gap",
    task="fusion",
    modalities=("audio",),
    paper="https://arxiv.org/abs/2203.07378",
    year=2023,
    venue="IEEE TPAMI",
)
class W2V2Dim(Recognizer):
    r"""Head of Wagner et al. (IEEE TPAMI 2023) on the frames of one modality, with the loss 1 - CCC.

    The frames are averaged; a layer with tanh and a linear layer follow, :math:`y = W' \tanh(W \bar x + b) + b'`. For classes and
    soft labels the loss is the usual one. Other modalities are not read, so it does not matter whether they are missing.

    The paper also fine-tunes the encoder (wav2vec 2.0); here the features are given, so only the head is trained. A target is
    learned alone; the paper learns arousal, dominance and valence together. Decided here: values are relative to mean and
    standard deviation of the training labels (logits: to the class frequencies), and an utterance without the modality gets that
    mean (those frequencies) and a learned bias.
    """

    Config = W2V2DimConfig
    config: W2V2DimConfig
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 16, "modality": "text"}  # every corpus of the test suite has text
    prior: Tensor
    scale: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.modality = modality_or_first(schema, c.modality, "w2v2_dim")
        self.body = nn.Sequential(
            nn.Dropout(c.dropout), nn.Linear(schema.dims[self.modality], c.hidden), nn.Tanh(), nn.Dropout(c.dropout)
        )
        self.head = classifier(schema, c.hidden + 1, c)
        self.register_buffer("prior", torch.zeros(schema.target.width))
        self.register_buffer("scale", torch.ones(()))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set prior and scale from the training labels."""
        prior, scale = label_statistics(self.schema.target, batches)
        self.prior.copy_(prior)
        self.scale.copy_(scale)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C), or values (U, 1)."""
        present = batch.present[self.modality]
        available = present.any(dim=1, keepdim=True)  # (U, 1)
        hidden = self.body(masked_mean(batch.features[self.modality], present)) * available  # (U, H)
        answer = self.head(torch.cat([hidden, available.to(hidden)], dim=1)).float()
        return Prediction(self.prior + self.scale * answer)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return 1 - CCC for regression, the usual loss otherwise; the setting ``loss`` of training replaces either."""
        logits, label = self(observed).logits, observed.label
        if self.objective is None and self.schema.target.task == "regression":
            return {"task": concordance_loss(logits.squeeze(1), label)}  # (U, 1) -> (U,)
        return {"task": self.task_loss(logits, label)}
