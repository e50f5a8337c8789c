"""A recogniser around another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.models.base import Prediction, Recognizer, Sampler, Stage


class Wrapped(Recognizer):
    """Passes everything on to the recogniser inside; a part overrides what it changes.

    Args:
        inner: what is wrapped; its name, settings and abilities become those of the whole.
    """

    def __init__(self, inner: Recognizer) -> None:
        super().__init__(inner.schema, inner.config)
        self.inner = inner
        self.name, self.info, self.learns = inner.name, inner.info, inner.learns
        self.needs_dialogue, self.recovers, self.samples = inner.needs_dialogue, inner.recovers, inner.samples

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The inner stages; an empty prefix still means all parameters."""
        return tuple(replace(s, parameters=tuple(f"inner.{p}" for p in s.parameters)) for s in self.inner.stages)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare what is inside."""
        self.inner.prepare(batches)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle what is inside."""
        self.inner.settle(batches, metric)

    def forward(self, batch: Batch) -> Prediction:
        """The inner answer."""
        prediction: Prediction = self.inner(batch)
        return prediction

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """The inner draws; only if ``samples``."""
        return cast(Sampler, self.inner).sample(batch, number, seed)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The inner losses."""
        return self.inner.losses(complete, observed, stage)
