"""Settings that every recogniser has, and the check that all settings go through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lacuna.errors import ConfigError
from lacuna.models.space import Space


def check_bounds(model: str, config: object, **bounds: tuple[float, float]) -> None:
    """Check settings in the ``__post_init__`` of a config.

    Args:
        model: its registered name.
        config: what is checked.
        bounds: by field, lowest and highest value that make sense. Two integers: whole numbers only. Two truth values: a switch.

    Raises:
        ConfigError: a value is of another kind or out of bounds; the message names model, field, bound and value.
    """
    for name, (low, high) in bounds.items():
        value: object = getattr(config, name)
        if isinstance(low, bool):
            if not isinstance(value, bool):
                raise ConfigError(f"model '{model}': setting '{name}' must be true or false; found {value!r}")
            continue
        whole = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # type: ignore[operator] # NaN is in no bounds
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"model '{model}': setting '{name}' must be {kind} from {low} to {high}; found {value!r}")


def check_choices(model: str, config: object, **known: Sequence[str]) -> None:
    """Check settings that are one of a few words.

    Raises:
        ConfigError: a value is none of them; the message names model, field, choices and value.
    """
    for name, words in known.items():
        if (found := getattr(config, name)) not in words:
            raise ConfigError(f"model '{model}': setting '{name}' must be {' or '.join(words)}; found {found!r}")


def check_multiples(model: str, config: object, of: str, *names: str) -> None:
    """Check settings that another one must divide.

    Raises:
        ConfigError: it does not; the message names model, both fields and their values.
    """
    for name in names:
        found, unit = getattr(config, name), getattr(config, of)
        if found % unit:
            raise ConfigError(f"model '{model}': setting '{name}' must be a multiple of {of} ({unit}); found {found}")


@dataclass(frozen=True)
class Maci:
    """Model-agnostic causal inference (CIDer, arXiv 2506.10452), done by :mod:`lacuna.models.wrappers.causal`.

    Attributes:
        backdoor: adjust for the class-related confounder in the head, with class prototypes and priors of the training split.
        counterfactual: subtract what the bias words alone would have said; ``tau`` is chosen once on validation.
        text: the modality whose words are looked at.
        words: at most so many bias words.
        least_count: a word that occurs in fewer training utterances is never one.
        false_discovery: share of false ones among the bias words that is accepted (Benjamini-Hochberg).
        prior_strength: of the Dirichlet prior of the log-odds, in words.
        most_tau: the largest ``tau`` that is tried.
        inference: what the head assumes of the confounder outside training: ``mean``, all classes alike, with the mean of their
            prototypes; ``classes``, prototypes and priors as in training.
    """

    backdoor: bool = True
    counterfactual: bool = True
    text: str = "text"
    words: int = 100
    least_count: int = 10
    false_discovery: float = 0.05
    prior_strength: float = 100.0
    most_tau: float = 2.0
    inference: str = "mean"

    def __post_init__(self) -> None:
        check_bounds("maci", self, backdoor=(False, True), counterfactual=(False, True), words=(1, 10**6))
        check_bounds("maci", self, least_count=(1, 10**9), false_discovery=(0.0, 1.0), prior_strength=(1e-6, 1e9))
        check_bounds("maci", self, most_tau=(0.0, 100.0))
        if not isinstance(self.text, str):
            raise ConfigError(f"model 'maci': setting 'text' must be the name of a modality; found {self.text!r}")
        check_choices("maci", self, inference=("mean", "classes"))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every model's frozen settings: one dataclass a model, one YAML a model; see :func:`check_bounds`.

    Attributes:
        window: neighbouring turns on either side that are laid beside an utterance's own frames as further frames, so that a
            model of single utterances sees context; see :mod:`lacuna.models.wrappers.window`. 0 = none.
        maci: corrections for bias, ``None`` = none.
        space: where a study looks for settings, defaults included (:mod:`lacuna.models.space`); each model has its own.
    """

    window: int = 0
    maci: Maci | None = None
    space: ClassVar[Space] = {}
