"""Base of recognisers that wrap another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.models.base import Prediction, Recognizer, Sampler, Stage


class Wrapped(Recognizer):
    """Recogniser that delegates to another one; a wrapper overrides what it changes.

    Args:
        inner: wrapped recogniser; the wrapper takes its name, facts, settings and abilities.
    """

    def __init__(self, inner: Recognizer) -> None:
        super().__init__(inner.schema, inner.config)
        self.inner = inner
        self.name, self.info, self.learns = inner.name, inner.info, inner.learns
        self.needs_dialogue, self.recovers, self.samples = inner.needs_dialogue, inner.recovers, inner.samples
        self.calibrated = inner.calibrated

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages of the inner model; no prefixes still mean all parameters."""
        return tuple(replace(s, parameters=tuple(f"inner.{p}" for p in s.parameters)) for s in self.inner.stages)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the modalities that the inner model reads."""
        return self.inner.reads

    def adopt(self, members: Sequence[Recognizer]) -> None:
        """Pass trained members on to the inner model."""
        self.inner.adopt(members)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare the inner model."""
        self.inner.prepare(batches)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle the inner model."""
        self.inner.settle(batches, metric)

    def forward(self, batch: Batch) -> Prediction:
        """Return the prediction of the inner model."""
        prediction: Prediction = self.inner(batch)
        return prediction

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return the draws of the inner model; only if ``samples``."""
        return cast(Sampler, self.inner).sample(batch, number, seed)

    def auxiliary_logits(self, prediction: Prediction) -> list[Tensor]:
        """Return the answers of the inner model for the auxiliary targets."""
        return self.inner.auxiliary_logits(prediction)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of the inner model."""
        return self.inner.losses(complete, observed, stage)
