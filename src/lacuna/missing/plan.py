"""Mask plans (pattern, rate, seed), and masks, which are plans bound to a split."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, is_number
from lacuna.missing.registry import pattern


@dataclass(frozen=True, eq=False)
class Mask:
    """What is missing in a split: a pure function of (plan, utterance ids), read for any rows in any order.

    Attributes:
        plan: pattern, rate and seed.
        layout: the split.
        draw: the pattern bound to the split.
    """

    plan: MaskPlan
    layout: Layout
    draw: Draw

    def present(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Return which frames of some utterances are left, padded as :func:`lacuna.corpus.batch.collate` pads them.

        Args:
            rows: (U,) int64 row numbers of the split, in any order; repeats are allowed.

        Returns:
            By modality (U, T_m) bool with T_m = max(1, longest of these rows): True = originally present and not removed.
        """
        rows = np.asarray(rows, np.int64)
        result, part = {}, self.layout.at(rows)
        for modality, count in part.count.items():
            present = np.arange(max(1, int(count.max(initial=0)))) < count[:, None]  # (U, T_m), False on padding
            kept = ~self.draw.frames(modality, rows)  # (sum count,)
            if (original := part.original(modality)) is not None:
                kept &= original
            present[present] = kept
            result[modality] = present
        return result

    def missing_flat(self) -> dict[str, NDArray[np.bool_]]:
        """Return the frames that were originally present and are removed.

        Returns:
            By modality (sum count,) bool, utterances end to end in row order.
        """
        rows = np.arange(len(self.layout))
        result, part = {}, self.layout.at(rows)
        for modality in self.layout.modalities:
            result[modality] = self.draw.frames(modality, rows)
            if (original := part.original(modality)) is not None:
                result[modality] &= original
        return result

    def measured(self) -> float:
        """Return the removed share of what was originally present, in the pattern's unit; 0 if nothing was present."""
        return self.draw.measured()


@dataclass(frozen=True, init=False)
class MaskPlan:
    """A pattern at a rate, with a seed. Hashable; equal plans give the same mask on every machine.

    Args:
        pattern: a pattern, or the name of one, which then has its default settings.
        rate: in [0, 1]; what it is a share of is ``pattern.unit``.
        seed: 0 to 2**63; another seed gives an unrelated mask.

    Raises:
        ConfigError: the pattern is unknown, or the rate or seed is out of bounds.

    >>> from lacuna.missing import Layout
    >>> from lacuna.synthetic.duet import generate, preset
    >>> corpus = generate(preset("tiny"))
    >>> plan = MaskPlan("rmm", rate=0.3, seed=0)
    >>> mask = plan.over(Layout.of(corpus))
    >>> round(mask.measured(), 2)
    0.3
    >>> present = mask.present([0, 1])
    >>> {modality: (flags.shape, flags.dtype.name) for modality, flags in present.items()}
    {'text': ((2, 4), 'bool'), 'audio': ((2, 4), 'bool'), 'vision': ((2, 3), 'bool')}
    >>> MaskPlan.from_json(plan.to_json()) == plan
    True
    """

    pattern: Pattern
    rate: float
    seed: int

    def __init__(self, pattern: Pattern | str, rate: float, seed: int = 0) -> None:
        object.__setattr__(self, "pattern", _pattern(pattern))
        object.__setattr__(self, "rate", _rate(rate))
        object.__setattr__(self, "seed", _seed(seed))

    def over(self, layout: Layout) -> Mask:
        """Bind the plan to a split.

        At most one bool per slot is kept in memory, for most patterns nothing; the rest is computed when it is read.

        Raises:
            ConfigError: a setting of the pattern does not fit the corpus.
        """
        return Mask(self, layout, self.pattern.bind(layout, self.rate, self.seed))

    def __str__(self) -> str:
        return f"{self.pattern} rate={self.rate} seed={self.seed}"

    def to_json(self) -> str:
        """Return the plan with all settings as canonical JSON: equal plans give equal text."""
        parts = {"pattern": self.pattern.name, "settings": self.pattern.settings(), "rate": self.rate, "seed": self.seed}
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> MaskPlan:
        """Return the plan that :meth:`to_json` wrote.

        Raises:
            ConfigError: the text does not describe a plan.
        """
        try:
            parts = json.loads(text)
            name, settings, rate, seed = (parts.pop(k) for k in ("pattern", "settings", "rate", "seed"))
            if parts or not isinstance(name, str) or not isinstance(settings, dict):
                raise ValueError(f"unexpected {sorted(parts) or [name, settings]}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"the text is not the JSON of a mask plan: {error!r}; expected pattern, settings, rate, seed"
            ) from None
        return cls(pattern(name, **settings), rate, seed)


def _pattern(value: Pattern | str) -> Pattern:
    if isinstance(value, str):
        return pattern(value)
    if not isinstance(value, Pattern):
        raise ConfigError(f"a mask plan's pattern must be a Pattern or the name of one, found {value!r}")
    return value


def _rate(value: object) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise ConfigError(f"a mask plan's rate must be a number in [0, 1], found {value!r}")
    return float(value) + 0.0  # -0.0 is 0


def _seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= 2**63:
        raise ConfigError(f"a mask plan's seed must be a whole number from 0 to 2**63, found {value!r}")
    return int(value)
