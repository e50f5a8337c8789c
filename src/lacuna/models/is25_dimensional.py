"""Speech frames with frozen vectors of text and speaker, trained with the concordance correlation."""

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
from lacuna.models.layers.streams import masked_mean_of, modality_or_first
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class IS25DimensionalConfig(Config):
    """Settings of :class:`IS25Dimensional`.

    Attributes:
        width: channels of the convolutions and units of the hidden layer; 256 in the paper.
        dropout: dropout rate.
        speech: name of the modality with the speech frames; the first modality if the corpus has no such one. Every other
            modality is a frozen vector.
    """

    width: int = 64
    dropout: float = 0.3
    speech: str = "audio"
    space: ClassVar[Space] = {"width": Span(16, 256, log=True), "dropout": Span(0.0, 0.7)}

    def __post_init__(self) -> None:
        check_bounds("is25_dimensional", self, width=(1, 8192), dropout=(0.0, 1.0))


@register(
    "is25_dimensional",
    title="Developing a High-performance Framework for Speech Emotion Recognition in Naturalistic Conditions Challenge for "
    "Emotional Attribute Prediction",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2506.10930",
    year=2025,
    venue="Interspeech",
)
class IS25Dimensional(Recognizer):
    """Winner of the Interspeech 2025 challenge on emotional attributes (arXiv 2506.10930), for given features.

    Three convolutions with kernel 1 (linear maps of each frame) read the speech frames, and the present ones are averaged. The
    result and a frozen vector of every other modality, the mean of its frames (in the paper: text and speaker embedding), pass a
    hidden layer. The loss is 1 - CCC for regression and the usual one otherwise. A value is a sigmoid between the bounds of the
    target; without bounds it is linear, in standard deviations of the training labels around their mean.

    Left out: the speech encoder and the learned weights of its layers (features are given), the head for gender (an auxiliary
    target), several attributes at once, and the mean of two systems (``ensemble: 2`` is the closest setting). Decided here: a
    missing modality adds nothing, and the hidden layer also reads which modalities are available.
    """

    Config = IS25DimensionalConfig
    config: IS25DimensionalConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16}
    prior: Tensor
    scale: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, w = self.config, self.config.width
        self.speech = modality_or_first(schema, c.speech, "is25_dimensional")
        layers = (
            nn.Linear(schema.dims[self.speech], w),
            nn.Linear(w, w),
            nn.Linear(w, w),
        )
        between = [part for layer in layers[:-1] for part in (layer, nn.ReLU(), nn.Dropout(c.dropout))]
        self.convolutions = nn.Sequential(*between, layers[-1])
        frozen = sum(dim for name, dim in schema.dims.items() if name != self.speech)
        self.body = nn.Sequential(nn.Linear(w + frozen + len(schema.dims), w), nn.ReLU(), nn.Dropout(c.dropout))
        self.head = classifier(schema, w, c)
        self.register_buffer("prior", torch.zeros(schema.target.width))
        self.register_buffer("scale", torch.ones(()))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set mean and standard deviation of the training labels, for regression without bounds."""
        if self.schema.target.task == "regression":
            prior, scale = label_statistics(self.schema.target, batches)
            self.prior.copy_(prior)
            self.scale.copy_(scale)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C), or values (U, 1)."""
        vectors = [masked_mean_of(self.convolutions(batch.features[self.speech]), batch.present[self.speech])]  # (U, w)
        vectors += [masked_mean(x, batch.present[m]) for m, x in batch.features.items() if m != self.speech]
        answer = self.head(self.body(torch.cat([*vectors, batch.available().to(vectors[0])], dim=1))).float()
        low, high = self.schema.target.low, self.schema.target.high
        if self.schema.target.task == "regression" and low is not None and high is not None:
            return Prediction(low + (high - low) * torch.sigmoid(answer))
        return Prediction(self.prior + self.scale * answer)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return 1 - CCC for regression, the usual loss otherwise; the setting ``loss`` of training replaces either."""
        logits, label = self(observed).logits, observed.label
        if self.objective is None and self.schema.target.task == "regression":
            return {"task": concordance_loss(logits.squeeze(1), label)}  # (U, 1) -> (U,)
        return {"task": self.task_loss(logits, label)}
