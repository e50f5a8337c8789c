"""The evaluation protocol: the masks that recognisers are scored under, and the names of conditions in tables."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, combinations
from typing import Any, Literal

from lacuna.errors import ConfigError
from lacuna.missing import FILE, MaskPlan, Pattern, pattern, published_plans

FIXED = "fixed"
_ALL_UP_TO, _REFUSED_ABOVE = 5, 10  # modalities: so many have all their subsets scored by default, and at most on request
_log = logging.getLogger(__name__)
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Condition:
    """A mask plan with the names that tables use.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults, ``key=value`` separated by commas; for ``fixed`` the modalities that
            stay, e.g. ``audio+text``; empty = all defaults.
        rate: nominal missing rate, in [0, 1].
        mask_seed: seed of the mask.
        measured: measured missing rate on the split, in the unit of the pattern.
    """

    pattern: str
    setting: str
    rate: float
    mask_seed: int
    measured: float

    @property
    def key(self) -> tuple[str, str, float, int]:
        """Pattern, setting, rate and mask seed: unique within a sweep."""
        return self.pattern, self.setting, self.rate, self.mask_seed


def condition_of(plan: MaskPlan, measured: float) -> Condition:
    """Return the condition of a plan with its measured rate."""
    return Condition(plan.pattern.name, setting_of(plan.pattern), plan.rate, plan.seed, measured)


def setting_of(chosen: Pattern) -> str:
    """Return the settings of a pattern that differ from the defaults, as text; equal settings give equal text.

    Example:
        >>> setting_of(pattern("fixed", available=("audio", "text")))
        'audio+text'
    """
    return chosen.setting_text()


@dataclass(frozen=True)
class PatternSpec:
    """A pattern to score under.

    Attributes:
        name: as registered in :mod:`lacuna.missing`.
        settings: settings that differ from the defaults. ``fixed`` without ``available`` stands for the subsets of the
            :class:`EvaluationConfig`. ``file`` needs ``path``; it stands for all masks of the file, or those with the
            label ``mask``.
        rates: missing rates; empty = those of the :class:`EvaluationConfig`, for ``fixed``
            rate 1, for ``file`` those of the file.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class EvaluationConfig:
    """The evaluation protocol: the same masks for every model.

    ``rmm`` always keeps one modality, so with three modalities nothing changes above a rate of 2/3; by default it is scored up to
    0.7, as in GCNet and IMDer.

    Attributes:
        patterns: patterns of missing data.
        rates: missing rates of patterns without their own, strictly increasing, in [0, 1].
        mask_seeds: one mask each; their scores are averaged.
        subsets: sets of modalities that ``fixed`` keeps: ``all`` non-empty sets, a list of sets, or ``auto``: all of at most
            five modalities; of more those with one modality, those without one, and the full set.
        replicates: bootstrap replicates, at least 2.
        level: of the intervals, between 0 and 1.
        seed: of the bootstrap.
        past_only: whether models that read dialogues get turns 0 to t for their answer at turn t, see
            :mod:`lacuna.evaluation.past`. Recovered values are still estimated from whole dialogues.

    Raises:
        ConfigError: a value is out of bounds.
    """

    patterns: tuple[PatternSpec, ...] = (PatternSpec("rmfm"), PatternSpec("rmm", rates=RATES[:8]), PatternSpec(FIXED))
    rates: tuple[float, ...] = RATES
    mask_seeds: tuple[int, ...] = (0, 1, 2)
    subsets: Literal["auto", "all"] | tuple[tuple[str, ...], ...] = "auto"
    replicates: int = 500
    level: float = 0.95
    seed: int = 0
    past_only: bool = False

    def __post_init__(self) -> None:
        for f in fields(self):  # YAML gives lists
            if isinstance(value := getattr(self, f.name), list):
                object.__setattr__(self, f.name, tuple(value))
        for name, rates in [("rates", self.rates), *((f"rates of {p.name}", p.rates) for p in self.patterns if p.rates)]:
            if not rates or list(rates) != sorted(set(rates)) or rates[0] < 0 or rates[-1] > 1:
                raise ConfigError(f"evaluation: {name} must rise strictly from at least 0 to at most 1, found {list(rates)}")
        if isinstance(self.subsets, str) and self.subsets not in ("auto", "all"):
            raise ConfigError(f"evaluation: subsets must be 'auto', 'all' or a list of sets, found {self.subsets!r}")
        if not self.patterns:
            raise ConfigError("evaluation: patterns is empty; name at least one")
        if not self.mask_seeds or len(set(self.mask_seeds)) < len(self.mask_seeds):
            raise ConfigError(f"evaluation: mask_seeds must be different numbers, at least one, found {list(self.mask_seeds)}")
        if self.replicates < 2 or not 0 < self.level < 1:
            raise ConfigError(
                f"evaluation: needs at least 2 replicates and a level between 0 and 1, found {self.replicates} and {self.level}"
            )

    def plans(self, modalities: Sequence[str]) -> list[MaskPlan]:
        """Return all plans for a corpus with these modalities.

        Raises:
            ConfigError: an unknown pattern or setting, or the same pattern, settings and rate twice.
            DataError: a file of masks cannot be read.

        Example:
            >>> config = EvaluationConfig((PatternSpec("rmm"),), rates=(0.0, 0.5), mask_seeds=(0, 1))
            >>> [(plan.rate, plan.seed) for plan in config.plans(["text", "audio"])]
            [(0.0, 0), (0.0, 1), (0.5, 0), (0.5, 1)]
        """
        plans: list[MaskPlan] = []
        for spec in self.patterns:
            if spec.name == FILE:
                plans += published_plans(**spec.settings, rates=spec.rates)
                continue
            if spec.name == FIXED and "available" not in spec.settings:
                chosen = [pattern(FIXED, **spec.settings, available=subset) for subset in self._subsets(modalities)]
            else:
                chosen = [pattern(spec.name, **spec.settings)]
            rates = spec.rates or ((1.0,) if spec.name == FIXED else self.rates)
            for one in chosen:
                for rate in rates:
                    is_random = not (spec.name == FIXED and rate in (0, 1))  # otherwise every seed gives the same mask
                    plans += [MaskPlan(one, rate, seed) for seed in (self.mask_seeds if is_random else self.mask_seeds[:1])]
        if len(set(plans)) < len(plans):
            raise ConfigError("evaluation: a pattern with the same settings and rate is named twice; remove one of them")
        return plans

    def _subsets(self, modalities: Sequence[str]) -> list[tuple[str, ...]]:
        if isinstance(self.subsets, tuple):
            return [tuple(subset) for subset in self.subsets]
        n_modalities = len(modalities)
        sizes = list(range(1, n_modalities + 1))
        if self.subsets == "auto" and n_modalities > _ALL_UP_TO:
            sizes = [1, n_modalities - 1, n_modalities]
            _log.info(
                "%d modalities have %d subsets: scored are those with one modality, without one, and with all "
                "(evaluation setting 'subsets')",
                n_modalities,
                2**n_modalities - 1,
            )
        elif n_modalities > _REFUSED_ABOVE:
            raise ConfigError(
                f"evaluation: {n_modalities} modalities have {2**n_modalities - 1} subsets, and each is scored by every model\n"
                "  do: set subsets to 'auto', or to a list of sets of modalities"
            )
        return list(chain.from_iterable(combinations(modalities, size) for size in sizes))
