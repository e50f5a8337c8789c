r"""Skin conductance of one person: a tonic level that drifts, and skin responses, which obey a first-order equation exactly.

A response is an impulse convolved with a bi-exponential function. The sum of the tonic level L(t) and the responses is

.. math::
    E(t) = L(t) + \frac{1}{1/\tau_r - 1/\tau_d} \sum_{t_i \le t} a_i \left(e^{-(t - t_i)/\tau_d} - e^{-(t - t_i)/\tau_r}\right),
    \quad \frac{dE}{dt} = -\frac{E}{\tau_d} + s(t), \qquad
    s(t) = \frac{L(t)}{\tau_d} + \frac{dL}{dt} + \sum_{t_i \le t} a_i e^{-(t - t_i)/\tau_r}.

This is the equation of the loss ``physics`` with :math:`\gamma \alpha = 1/\tau_d` and :math:`\gamma \beta^\top s = s(t)`. That
loss assumes a drive that is constant in a window and a function of the emotion alone; here the emotion decides only how often
impulses occur, so the loss is right on average over impulses, and for a person of average level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Conductance:
    """The noise-free skin conductance of a person.

    Attributes:
        level: mean tonic level in microsiemens.
        drift: amplitude of its drift, as a share of the level.
        period: of the drift, in seconds.
        phase: of the drift, in radians.
        onset: (I,) float64 seconds at which the skin responses begin.
        amplitude: (I,) float64 slope in microsiemens a second with which each response begins.
        rise: time constant of the rise in seconds.
        decay: time constant of the return in seconds.
    """

    level: float
    drift: float
    period: float
    phase: float
    onset: Array
    amplitude: Array
    rise: float
    decay: float

    def tonic(self, time: Array) -> Array:
        """Return the tonic level L(t) in microsiemens at times (T,) in seconds."""
        return self.level * (1 + self.drift * np.sin(2 * np.pi * time / self.period + self.phase))

    def value(self, time: Array) -> Array:
        """Return E(t) in microsiemens at times (T,) in seconds."""
        responses = self._sum(time, self.decay) - self._sum(time, self.rise)
        return self.tonic(time) + responses / (1 / self.rise - 1 / self.decay)

    def drive(self, time: Array) -> Array:
        """Return s(t) in microsiemens a second at times (T,) in seconds."""
        speed = 2 * np.pi / self.period
        slope = self.level * self.drift * speed * np.cos(speed * time + self.phase)
        return self.tonic(time) / self.decay + slope + self._sum(time, self.rise)

    def _sum(self, time: Array, constant: float) -> Array:
        """Return the sum of all responses that decay with a time constant, (T,)."""
        since = time[:, None] - self.onset  # (T, I)
        return np.exp(-np.maximum(since, 0) / constant) * (since >= 0) @ self.amplitude
