"""Corruptions of values: noise, gain, dead columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.shift.corrupt import Corruption, Values, register


@register("noise")
@dataclass(frozen=True)
class Noise(Corruption):
    """Gaussian noise added to every value; ``severity`` is its standard deviation, in units of that of the training frames.

    For one seed, the noise of two severities differs only by a factor.
    """

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """Return ``x + severity * e``."""
        return np.asarray(values + np.float32(self.severity) * rng.standard_normal(values.shape, np.float32))


@register("gain")
@dataclass(frozen=True)
class Gain(Corruption):
    """One wrong gain for all frames of a modality of an utterance, as from a microphone set too high or too low.

    The factor is ``exp(severity * e)`` with a standard normal ``e``, limited to [-6, 6]. It multiplies the standardised features,
    i.e. the distance to the training mean. ``severity`` is from 0 to 5.
    """

    most = 5.0  # above it single-precision numbers overflow

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """Return ``x * exp(severity * e)``."""
        return np.asarray(values * np.float32(np.exp(self.severity * np.clip(rng.standard_normal(), -6, 6))))


@register("channel_loss")
@dataclass(frozen=True)
class ChannelLoss(Corruption):
    """Some columns of a modality stay at the training mean for a whole utterance; the model is not informed of it.

    ``severity`` is the share of columns, from 0 to 1. For one seed, columns that are dead at one severity are dead at all
    higher ones.
    """

    most = 1.0

    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """Return the values with 0 in ``round(severity * d)`` columns."""
        dead = np.argsort(rng.random(values.shape[1]), kind="stable")[: round(self.severity * values.shape[1])]
        altered = values.copy()
        altered[:, dead] = 0
        return altered
