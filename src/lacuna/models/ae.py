"""AE: an autoencoder that estimates missing modalities, and a classifier of its reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.autoencoder import Autoencoder, Decoders, Encoders, FrameMeans, Head, missing_slots, slot_error
from lacuna.models.layers.head import classifier
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class AEConfig(Config):
    """Settings of :class:`AE`.

    Attributes:
        embedding: units of the embedding of each modality.
        hidden: units of the outer layers of the autoencoder and of the classifier.
        bottleneck: units of the bottleneck.
        dropout: dropout rate of the embeddings and of the classifier.
        recovery_weight: weight of the recovery loss; the task loss has weight 1.
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
    r"""Autoencoder of zero-filled embeddings; its reconstruction is decoded to missing frame means and classified.

    The baseline "AE" of GCNet (Lian et al., IEEE TPAMI 2023, https://arxiv.org/abs/2203.02177):

    .. math:: L = L_{task} + w \, L_{recovery}

    The recovery loss is the squared error of the decoded frame means of modalities that the training mask hides. Modalities that
    the corpus lacks have no target.
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
        """Return the network from zero-filled embeddings to complete ones."""
        c = self.config
        return Autoencoder(modalities, c.embedding, c.hidden, c.bottleneck)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Estimate mean and standard deviation of the frame means."""
        self.means.fit(batches)

    def _predict(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Return logits (U, C) and estimated standardised frame means, one (U, d_m) for each modality."""
        available = batch.available()
        embedded = self.encoders(self.means.split(self.means(batch)), available)
        filled, _ = self.imputer(embedded, available)  # (U, M, H)
        return self.head(filled.flatten(1)), self.decoders(filled)  # (U, M, H) -> (U, M H)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and estimated frames."""
        logits, estimates = self._predict(batch)
        return Prediction(logits, self.means.fill(batch, torch.cat(estimates, dim=1)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and the recovery loss of hidden modalities."""
        logits, estimates = self._predict(observed)
        truth = self.means.split(self.means(complete))
        return {
            "task": self.task_loss(logits, observed.label),
            "recovery": self.config.recovery_weight * slot_error(estimates, truth, missing_slots(complete, observed)),
        }
