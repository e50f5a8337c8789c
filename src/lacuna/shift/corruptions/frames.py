"""Corruptions of the order of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.shift.corrupt import Corruption, Values, register


@register("time_shift")
@dataclass(frozen=True)
class TimeShift(Corruption):
    """The observed frames of a modality come too early or too late, so modalities are no longer aligned.

    They rotate by ``severity`` times their number, from 0 to 0.5: frames that leave at one end enter at the other, so no frame is
    lost and no absent frame is filled.
    """

    most = 0.5

    def order(self, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return a rotation, in either direction with equal probability."""
        shift = round(self.severity * frames) * (1 if rng.random() < 0.5 else -1)
        return np.asarray(np.roll(np.arange(frames), shift))

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """Return the values unchanged."""
        return values

    def check(self, corpus: Corpus) -> None:
        """Check as the base class does, and refuse single vectors, which have no time.

        Raises:
            ConfigError: no utterance of the modalities has two frames.
        """
        super().check(corpus)
        hit = self.modalities or tuple(m.name for m in corpus.modalities)
        if all(corpus.frames[m].longest < 2 for m in hit):
            raise ConfigError(
                f"corruption '{self.name}': {', '.join(hit)} of corpus '{corpus.name}' are single vectors, "
                "and a vector has no time"
            )
