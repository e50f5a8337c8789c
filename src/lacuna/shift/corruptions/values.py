"""Corruptions of the numbers themselves: noise, gain, dead channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.shift.corrupt import Corruption, Values, register


@register("noise")
@dataclass(frozen=True)
class Noise(Corruption):
    """Gaussian noise added to every number; ``severity`` is its standard deviation, in that of the training frames.

    For one seed the noise of all severities is the same but for its size.
    """

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """``x + severity * e``."""
        return np.asarray(values + np.float32(self.severity) * rng.standard_normal(values.shape, np.float32))


@register("gain")
@dataclass(frozen=True)
class Gain(Corruption):
    """One wrong gain for all frames of an utterance's modality, as of a microphone set too high or too low.

    The factor is ``exp(severity * e)`` with a standard normal ``e``; it multiplies the distance to the training mean, which is
    what standardised features tell.
    """

    most = 5.0  # beyond, single-precision numbers overflow

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """``x * exp(severity * e)``."""
        return np.asarray(values * np.float32(np.exp(self.severity * np.clip(rng.standard_normal(), -6, 6))))


@register("channel_loss")
@dataclass(frozen=True)
class ChannelLoss(Corruption):
    """Some columns of a modality are dead for a whole utterance and stay at the training mean; nobody tells the model.

    ``severity`` is the share of columns. For one seed the columns that are dead at one severity are dead at every higher one.
    """

    most = 1.0

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """0 in ``round(severity * d)`` columns."""
        dead = np.argsort(rng.random(values.shape[1]), kind="stable")[: round(self.severity * values.shape[1])]
        altered = values.copy()
        altered[:, dead] = 0
        return altered
