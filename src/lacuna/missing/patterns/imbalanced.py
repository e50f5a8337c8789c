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
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, Unit, WholeDraw, is_number
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _ImbalancedDraw(WholeDraw):
    """Remove each slot independently, with the probability of its modality."""

    probability: dict[str, float]
    seed: int

    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """Return by modality (U,) bool: the modality is removed from the utterance."""
        return {m: uniform(part.utterance, stream_of(self.seed, "imbalanced.hit", m)) < p for m, p in self.probability.items()}

    def measured(self) -> float:
        """Return the mean over the modalities of the removed share of their slots; 0 if there are none."""
        n_removed, n_slots = Counter[str](), Counter[str]()
        for _, part in self.layout.parts():
            for m, lost in self.lost(part).items():
                n_removed[m] += int((lost & part.available[m]).sum())
                n_slots[m] += int(part.available[m].sum())
        shares = [n_removed[m] / n_slots[m] for m in n_slots if n_slots[m]]
        return sum(shares) / max(len(shares), 1)


@register("imbalanced")
@dataclass(frozen=True)
class Imbalanced(Pattern):
    """Whole modalities, some lost more often than others, each slot on its own.

    ::

                utt 1   utt 2   utt 3   utt 4
        text    # # #   # # #   # # #   . . .    weight 1
        audio   # # #   . . .   # # #   . . .    weight 2
        vision  . . .   . . .   # # #   . . .    weight 3

    Modality m is lost with probability ``p_m = min(1, c w_m)``, where c makes the mean of p over the modalities r; what is cut
    off at 1 goes to the other modalities (water-filling). p rises with r, so masks nest. The measured rate is the mean over
    modalities of the share of their slots, so it does not depend on what was originally absent. An utterance may lose all
    modalities at any rate above 0.

    Reference: imbalanced missing rates of MissBench (arXiv 2603.09874), and the (r_a, r_t, r_v) tables of BALM and AMBER.

    Attributes:
        weights: (modality, relative rate > 0) pairs, or a mapping; every modality of the corpus needs one. Empty: the k-th
            modality in the corpus's order has weight k, i.e. with text, audio, vision the text is the most reliable.
    """

    weights: tuple[tuple[str, float], ...] = ()
    source: ClassVar[str] = "MissBench, arXiv 2603.09874; BALM; AMBER"
    unit: ClassVar[Unit] = "slots of each modality"
    removes: ClassVar[Removes] = "modalities"
    independence: ClassVar[Independence] = "slots"
    reaches_rate_1: ClassVar[bool] = True
    reads_modality_order: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _pairs(self.weights))

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split.

        Raises:
            ConfigError: the weights do not name the modalities of the corpus.
        """
        weights = dict(self.weights) or {m: float(k) for k, m in enumerate(layout.modalities, 1)}
        self._check_known("weights", weights, layout)
        if lacking := [m for m in layout.modalities if m not in weights]:
            raise ConfigError(f"imbalanced.weights has no weight for the modality {lacking[0]!r}; add one, or set no weights")
        return _ImbalancedDraw(layout, fill(weights, rate), seed)


def fill(weights: Mapping[str, float], rate: float) -> dict[str, float]:
    """Return probabilities ``min(1, c w)`` whose mean is ``rate``; all are exactly 1 at rate 1.

    >>> fill({"text": 1, "audio": 4}, 0.75)
    {'text': 0.5, 'audio': 1.0}
    """
    result = dict.fromkeys(weights, 1.0)
    unbounded, mass = dict(weights), rate * len(weights)
    while unbounded and rate < 1:
        factor = mass / sum(unbounded.values())
        bounded = [m for m, w in unbounded.items() if factor * w >= 1]
        if not bounded:
            return result | {m: factor * w for m, w in unbounded.items()}
        mass -= len(bounded)
        unbounded = {m: w for m, w in unbounded.items() if m not in bounded}
    return result


def _pairs(value: Any) -> tuple[tuple[str, float], ...]:
    """Return the weights as sorted pairs.

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
