"""Ridge-regression imputation of missing modalities, then a linear classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.gaussian import JointGaussian
from lacuna.models.layers.pooling import fill_frames, pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class RidgeConfig(Config):
    """Settings of :class:`Ridge`.

    Attributes:
        penalty: added to the diagonal of the covariance of the standardised features, which may be singular without it.
    """

    penalty: float = 0.3
    space: ClassVar[Space] = {"penalty": Span(1e-3, 1e3, log=True)}

    def __post_init__(self) -> None:
        check_bounds("ridge", self, penalty=(1e-4, 1e6))


@register(
    "ridge",
    title="Ridge-regression imputation and a linear classifier",
    task="baseline",
)
class Ridge(Recognizer):
    r"""Conditional mean of missing modalities under one joint Gaussian of the frame means, and a linear classifier.

    The conditional mean is a ridge regression of the missing frame means on the observed ones, one for each pattern of missing
    modalities: :math:`x_m = S_{mo} (S_{oo} + \lambda I)^{-1} x_o` (:class:`~lacuna.models.layers.gaussian.JointGaussian`).
    """

    Config = RidgeConfig
    config: RidgeConfig
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.head = nn.Linear(sum(schema.dims.values()), schema.target.width)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.gaussian = JointGaussian(list(schema.dims.values()), self.config.penalty)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Estimate the joint Gaussian of the frame means."""
        self.gaussian.fit((pooled(batch), batch.available()) for batch in batches())

    def fill(self, batch: Batch) -> Tensor:
        """Return frame means (U, sum of d_m) of all modalities, missing ones estimated, in full precision under autocast."""
        filled: Tensor = self.gaussian(pooled(batch), batch.available())
        return filled

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and estimated frames."""
        vectors = self.fill(batch)
        return Prediction(self.head(vectors), fill_frames(batch, vectors))
