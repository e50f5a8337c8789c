"""Settings that every recogniser has, and the checks of all settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lacuna.errors import ConfigError
from lacuna.models.space import Space


def check_bounds(model: str, config: object, **bounds: tuple[float, float]) -> None:
    """Check settings in the ``__post_init__`` of a config.

    Args:
        model: name in the registry.
        config: settings to check.
        bounds: by field, the lowest and the highest valid value. Two integers: whole numbers only. ``(False, True)``: a switch.

    Raises:
        ConfigError: a value has another type or is out of bounds; the message names model, field, bounds and value.
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
    """Check settings that must be one of a few words.

    Raises:
        ConfigError: a value is not one of them; the message names model, field, choices and value.
    """
    for name, words in known.items():
        if (value := getattr(config, name)) not in words:
            raise ConfigError(f"model '{model}': setting '{name}' must be {' or '.join(words)}; found {value!r}")


def check_multiples(model: str, config: object, of: str, *names: str) -> None:
    """Check settings that must be multiples of another setting.

    Raises:
        ConfigError: a setting is not a multiple; the message names model, both fields and their values.
    """
    for name in names:
        value, divisor = getattr(config, name), getattr(config, of)
        if value % divisor:
            raise ConfigError(f"model '{model}': setting '{name}' must be a multiple of {of} ({divisor}); found {value}")


@dataclass(frozen=True)
class Maci:
    """Settings of model-agnostic causal inference (MACI of CIDer, arXiv 2506.10452), see :mod:`lacuna.models.wrappers.causal`.

    Attributes:
        backdoor: adjust the head for the class-related confounder, with class prototypes and priors of the training split.
        counterfactual: subtract ``tau`` times the prediction from the bias words alone; ``tau`` is chosen once on validation.
        text: name of the modality with the words.
        words: largest number of bias words.
        least_count: fewest training utterances that a bias word occurs in.
        false_discovery: accepted share of false discoveries among the bias words (Benjamini-Hochberg), 0 to 1.
        prior_strength: strength of the Dirichlet prior of the log-odds, in words.
        most_tau: largest ``tau`` that is tried.
        inference: confounder outside training: ``mean`` = equal priors and the mean of the prototypes; ``classes`` = prototypes
            and priors of training.
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


@dataclass(frozen=True)
class Member:
    """A recogniser that is trained first, and then becomes a part of another one.

    Attributes:
        model: registered name.
        settings: of the model, where they differ from its defaults.
        training: training settings of this member alone.
        modalities: the modalities that it is built for; empty = all of the corpus.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of the frozen settings of every model: one dataclass and one YAML file for each model; see :func:`check_bounds`.

    Attributes:
        window: number of neighbouring turns on either side whose frame means are added as frames, so that a model of single
            utterances sees context; see :mod:`lacuna.models.wrappers.window`. 0 = none.
        maci: corrections for bias, ``None`` = none.
        ensemble: members that differ in their random initial weights and dropout, averaged in log space; see
            :mod:`lacuna.models.wrappers.ensemble`. 1 = one model.
        mpuc: epochs in which the encoders of the modalities are first trained by contrast, without labels, for models with such
            encoders; training must have more epochs. See :mod:`lacuna.models.wrappers.pairwise`. 0 = none.
        calibrate: divide the logits by a temperature for each set of available modalities, fitted on validation; see
            :mod:`lacuna.models.wrappers.calibration`. For classes and soft labels only.
        dialogue: units of each direction of a dialogue encoder before the classifier of a model of single utterances; see
            :mod:`lacuna.models.wrappers.in_dialogue`. 0 = none.
        recovered_by: model that fills in missing frames first, trained on the same split under masks of the same pattern: its
            name, or a mapping as of :class:`Member`; see :mod:`lacuna.models.wrappers.recovered`. ``None`` = none.
        layer_weights: learn a weight for each layer of a frozen network whose layers lie side by side in the frames (encoders
            with a list of ``layers``); see :mod:`lacuna.models.wrappers.layer_weights`. For models that do not recover.
        space: search space of tuning studies, which contains the defaults (:mod:`lacuna.models.space`).
    """

    window: int = 0
    maci: Maci | None = None
    ensemble: int = 1
    mpuc: int = 0
    calibrate: bool = False
    dialogue: int = 0
    recovered_by: Member | None = None
    layer_weights: bool = False
    space: ClassVar[Space] = {}
