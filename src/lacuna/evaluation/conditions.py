"""Which masks a recogniser is scored under, and how a condition is called in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, combinations
from typing import Any, Literal

from lacuna.errors import ConfigError
from lacuna.missing import MaskPlan, Pattern, pattern

FIXED = "fixed"
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Condition:
    """A plan as tables name it.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults, ``key=value`` with commas between; for ``fixed`` the modalities that
            stay, e.g. ``audio+text``; empty = all defaults.
        rate: as asked for.
        mask_seed: seed of the mask.
        measured: the rate that the mask really has on the split, in the pattern's unit.
    """

    pattern: str
    setting: str
    rate: float
    mask_seed: int
    measured: float

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What tells conditions of a sweep apart."""
        return self.pattern, self.setting, self.rate, self.mask_seed


def condition_of(plan: MaskPlan, measured: float) -> Condition:
    """How a plan with its measured rate is called."""
    return Condition(plan.pattern.name, setting_of(plan.pattern), plan.rate, plan.seed, measured)


def setting_of(chosen: Pattern) -> str:
    """Settings of a pattern that differ from the defaults, as text: equal settings give equal text."""
    settings = chosen.settings()
    if chosen.name == FIXED:
        return _text(settings["available"])
    usual = pattern(chosen.name).settings()
    return ",".join(f"{key}={_text(settings[key])}" for key in sorted(settings) if settings[key] != usual[key])


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        nested = any(isinstance(v, list | tuple) for v in value)
        return "+".join(":".join(map(str, v)) if nested else str(v) for v in value)
    return str(value)


@dataclass(frozen=True)
class PatternSpec:
    """A pattern to score under.

    Attributes:
        name: as registered in :mod:`lacuna.missing`.
        settings: those that differ from the defaults. ``fixed`` without ``available`` stands for the subsets of the
            :class:`EvaluationConfig`.
        rates: missing rates; empty = those of the :class:`EvaluationConfig`, but rate 1 for ``fixed``.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class EvaluationConfig:
    """The protocol: the same masks for every model.

    ``rmm`` keeps one modality, so with three of them nothing changes beyond a rate of 2/3; it is scored up to 0.7 by default, as
    in GCNet and IMDer.

    Attributes:
        patterns: what goes missing.
        rates: missing rates for patterns without their own, strictly increasing.
        mask_seeds: a mask each; their scores are averaged.
        subsets: which sets of modalities ``fixed`` keeps: ``all`` that are not empty, or a list of them.
        replicates: bootstrap replicates.
        level: of the intervals.
        seed: of the bootstrap.

    Raises:
        ConfigError: a value is out of bounds.
    """

    patterns: tuple[PatternSpec, ...] = (PatternSpec("rmfm"), PatternSpec("rmm", rates=RATES[:8]), PatternSpec(FIXED))
    rates: tuple[float, ...] = RATES
    mask_seeds: tuple[int, ...] = (0, 1, 2)
    subsets: Literal["all"] | tuple[tuple[str, ...], ...] = "all"
    replicates: int = 500
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        for f in fields(self):  # lists, as YAML gives them
            if isinstance(value := getattr(self, f.name), list):
                object.__setattr__(self, f.name, tuple(value))
        for name, rates in [("rates", self.rates), *((f"rates of {p.name}", p.rates) for p in self.patterns if p.rates)]:
            if not rates or list(rates) != sorted(set(rates)) or rates[0] < 0 or rates[-1] > 1:
                raise ConfigError(f"evaluation: {name} must rise strictly from at least 0 to at most 1, found {list(rates)}")
        if not self.patterns:
            raise ConfigError("evaluation: patterns is empty; name at least one")
        if not self.mask_seeds or len(set(self.mask_seeds)) < len(self.mask_seeds):
            raise ConfigError(f"evaluation: mask_seeds must be different numbers, at least one, found {list(self.mask_seeds)}")
        if self.replicates < 2 or not 0 < self.level < 1:
            raise ConfigError(
                f"evaluation: needs at least 2 replicates and a level between 0 and 1, found {self.replicates} and {self.level}"
            )

    def plans(self, modalities: Sequence[str]) -> list[MaskPlan]:
        """All plans, for a corpus with these modalities.

        Raises:
            ConfigError: an unknown pattern or setting, or a pattern twice.
        """
        plans: list[MaskPlan] = []
        for spec in self.patterns:
            if spec.name == FIXED and "available" not in spec.settings:
                chosen = [pattern(FIXED, **spec.settings, available=subset) for subset in self._subsets(modalities)]
            else:
                chosen = [pattern(spec.name, **spec.settings)]
            rates = spec.rates or ((1.0,) if spec.name == FIXED else self.rates)
            for one in chosen:
                for rate in rates:
                    drawn = not (spec.name == FIXED and rate in (0, 1))  # else every seed gives the same mask
                    plans += [MaskPlan(one, rate, seed) for seed in (self.mask_seeds if drawn else self.mask_seeds[:1])]
        if len(set(plans)) < len(plans):
            raise ConfigError("evaluation: a pattern with the same settings and rate is named twice")
        return plans

    def _subsets(self, modalities: Sequence[str]) -> list[tuple[str, ...]]:
        if self.subsets != "all":
            return [tuple(subset) for subset in self.subsets]
        return list(chain.from_iterable(combinations(modalities, size) for size in range(1, len(modalities) + 1)))
