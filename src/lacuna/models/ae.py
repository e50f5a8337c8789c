"""An autoencoder that estimates what is missing, and a classifier of its reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.autoencoder import Autoencoder, Decoders, Encoders, Head
from lacuna.models.layers.head import classifier
from lacuna.models.layers.means import FrameMeans, missing_slots, slot_error
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class AEConfig(Config):
    """Settings of :class:`AE`.

    Attributes:
        embedding: width of each modality's embedding.
        hidden: units of the autoencoder's outer layers and of the classifier.
        bottleneck: units of its narrowest layer.
        dropout: share of units dropped in training, of embeddings and in the classifier.
        recovery_weight: of the error of what is missing, beside the task.
    """

    embedding: int = 32
    hidden: int = 64
    bottleneck: int = 32
    dropout: float = 0.3
    recovery_weight: float = 0.2
    space: ClassVar[Space] = {
        "embedding": Span(16, 128, log=True),
        "hidden": Span(32, 256, log=True),
        "bottleneck": Span(8, 128, log=True),
        "dropout": Span(0.0, 0.7),
        "recovery_weight": Span(0.02, 8.0, log=True),
    }

    def __post_init__(self) -> None:
        _check("ae", self)


def _check(name: str, config: AEConfig) -> None:
    check_bounds(name, config, embedding=(1, 65536), hidden=(1, 65536), bottleneck=(1, 65536))
    check_bounds(name, config, dropout=(0.0, 1.0), recovery_weight=(0.0, 1e6))


@register(
    "ae",
    title="Autoencoder that estimates missing modalities",
    task="recovery",
    reference="Baseline 'AE' of Lian et al., GCNet, IEEE TPAMI 2023",
)
class AE(Recognizer):
    """Frame means, embedded with zeros for what is missing, through an autoencoder whose reconstruction is classified.

    The baseline of that name in GCNet (Lian et al., TPAMI 2023, arXiv 2203.02177): cross-entropy plus ``recovery_weight`` times
    the error of the decoded frame means of modalities that the training mask hid. What the corpus lacks has no target.
    """

    Config = AEConfig
    config: AEConfig
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, dims = self.config, list(schema.dims.values())
        self.means = FrameMeans(dims)
        self.encoders = Encoders(dims, c.embedding, c.dropout)
        self.imputer = self._imputer(len(dims))
        self.decoders = Decoders(dims, c.embedding)
        self.head = Head(len(dims) * c.embedding, c.hidden, lambda width: classifier(schema, width, c), c.dropout)

    def _imputer(self, modalities: int) -> nn.Module:
        """What maps embeddings with holes to embeddings without."""
        c = self.config
        return Autoencoder(modalities, c.embedding, c.hidden, c.bottleneck)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Spread of the frame means."""
        self.means.fit(batches)

    def _answer(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Logits (U, C) and the guessed frame means, one (U, d_m) a modality."""
        here = batch.available()
        embedded = self.encoders(self.means.split(self.means(batch)), here)
        filled, _ = self.imputer(embedded, here)  # (U, M, H)
        return self.head(filled.flatten(1)), self.decoders(filled)

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and the estimated frames."""
        logits, guess = self._answer(batch)
        return Prediction(logits, self.means.fill(batch, torch.cat(guess, dim=1)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the task, and of what the mask hid."""
        logits, guess = self._answer(observed)
        truth = self.means.split(self.means(complete))
        return {
            "task": task_loss(self.schema.target, logits, observed.label),
            "recovery": self.config.recovery_weight * slot_error(guess, truth, missing_slots(complete, observed)),
        }
