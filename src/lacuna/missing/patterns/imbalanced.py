"""Whole modalities lost, some more often than others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.missing.hashing import stream_of, uniform
from lacuna.missing.layout import Layout, Part
from lacuna.missing.pattern import Draw, Pattern, Unit, WholeDraw, is_number
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _ImbalancedDraw(WholeDraw):
    probability: dict[str, float]
    seed: int

    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: it is removed."""
        return {m: uniform(part.utterance, stream_of(self.seed, "imbalanced.hit", m)) < p for m, p in self.probability.items()}

    def measured(self) -> float:
        """Mean over the modalities of the share of their slots that is removed; 0 if there are none."""
        gone, slots = Counter[str](), Counter[str]()
        for _, part in self.layout.parts():
            for m, lost in self.lost(part).items():
                gone[m] += int((lost & part.available[m]).sum())
                slots[m] += int(part.available[m].sum())
        shares = [gone[m] / slots[m] for m in slots if slots[m]]
        return sum(shares) / max(len(shares), 1)


@register("imbalanced")
@dataclass(frozen=True)
class Imbalanced(Pattern):
    """Whole modalities, some lost more often than others, each slot on its own.

    Modality m is lost with probability ``p_m = min(1, c w_m)``, where c makes the mean of p over the modalities r; what is cut
    off at 1 goes to the others (water-filling). p rises with r, so masks nest. The rate measured is the mean over modalities
    of the share of their slots, so that it does not depend on what was originally absent.

    Source: imbalanced missing rates as in MissBench (arXiv 2603.09874) and the (r_a, r_t, r_v) tables of BALM and AMBER.
    Rate 1 removes everything; all modalities of an utterance may be lost at lower rates too.

    Attributes:
        weights: (modality, relative rate > 0) pairs, or a mapping; every modality of the corpus needs one. Empty: the k-th
            modality in the corpus's order has weight k, i.e. with text, audio, vision the text is the most reliable.
    """

    weights: tuple[tuple[str, float], ...] = ()
    unit: ClassVar[Unit] = "slots"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _pairs(self.weights))

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        weights = dict(self.weights) or {m: float(k) for k, m in enumerate(layout.modalities, 1)}
        self._known("weights", weights, layout)
        if lacking := [m for m in layout.modalities if m not in weights]:
            raise ConfigError(f"imbalanced.weights has no weight for the modality {lacking[0]!r}")
        return _ImbalancedDraw(layout, fill(weights, rate), seed)


def fill(weights: Mapping[str, float], rate: float) -> dict[str, float]:
    """Probabilities ``min(1, c w)`` with mean ``rate``; all exactly 1 for rate 1."""
    result = dict.fromkeys(weights, 1.0)
    left, mass = dict(weights), rate * len(weights)
    while left and rate < 1:
        factor = mass / sum(left.values())
        over = [m for m, w in left.items() if factor * w >= 1]
        if not over:
            return result | {m: factor * w for m, w in left.items()}
        mass -= len(over)
        left = {m: w for m, w in left.items() if m not in over}
    return result


def _pairs(value: Any) -> tuple[tuple[str, float], ...]:
    """The weights as sorted pairs.

    Raises:
        ConfigError: they are not pairs of different names and positive finite numbers.
    """
    result: dict[str, float] = {}
    try:
        for name, weight in value.items() if isinstance(value, Mapping) else value:
            if not isinstance(name, str) or name in result or not is_number(weight) or not 0 < weight < float("inf"):
                raise ValueError
            result[name] = float(weight)
    except (TypeError, ValueError):
        raise ConfigError(
            f"imbalanced.weights must pair different modalities with finite numbers above 0, found {value!r}"
        ) from None
    return tuple(sorted(result.items()))
