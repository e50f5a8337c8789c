"""A study: what is searched, how it is judged, and the promise that all its trials were judged alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import optuna

from lacuna.errors import ConfigError
from lacuna.missing import Pattern, derive_seed, pattern
from lacuna.models import Dimension
from lacuna.models.space import Span, Value
from lacuna.training.identity import Identity, differences
from lacuna.tuning.owners import claiming
from lacuna.tuning.place import Place
from lacuna.tuning.space import as_json, dimension, training_config

MADE_FOR = "lacuna"  # the study's attribute that holds its identity
WARM = "warm"  # the trial of the defaults


@dataclass(frozen=True)
class StudyConfig:
    """What a study does.

    Attributes:
        variant: what is tuned, as tables call it.
        model: which registered model that is.
        settings: of the model, those that are not searched.
        training: training settings that are not searched, as plain values.
        space: by parameter, see :class:`lacuna.tuning.space.Searched`.
        start: the variant's own values; the first trial, never pruned.
        target: of the corpus; ``None`` = its first.
        trials: so many are brought to an end, pruned ones included.
        workers: processes of this command.
        seed: of the sampler.
        seeds: of training; the value is their mean.
        pattern: under which a trial is judged, a name or ``{name, settings}``; ``None`` = the pattern of training.
        rates: over which the area is taken.
        mask_seeds: a mask each for every rate.
        pruner: ``median``, or ``none``.
        warmup: epochs in which nothing is pruned.
        startup: trials that are completed before any is pruned.
        failures: give up after so many trials that raised an error in one call of the command.
        restarts: of workers that died.

    Raises:
        ConfigError: a value is out of bounds.
    """

    variant: str
    model: str
    settings: dict[str, Any]
    training: dict[str, Any]
    space: dict[str, Dimension]
    start: dict[str, Value]
    target: str | None = None
    trials: int = 40
    workers: int = 2
    seed: int = 0
    seeds: tuple[int, ...] = (0,)
    pattern: str | dict[str, Any] | None = None
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    mask_seeds: tuple[int, ...] = (0, 1, 2)
    pruner: Literal["median", "none"] = "median"
    warmup: int = 5
    startup: int = 5
    failures: int = 10
    restarts: int = 20

    def __post_init__(self) -> None:
        for name in ("seeds", "rates", "mask_seeds"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, least in (("trials", 1), ("workers", 1), ("failures", 1), ("restarts", 0), ("warmup", 0), ("startup", 0)):
            if isinstance(value := getattr(self, name), bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"study: {name} must be a whole number of at least {least}; found {value!r}")
        if len(self.rates) < 2 or list(self.rates) != sorted(set(self.rates)) or self.rates[0] < 0 or self.rates[-1] > 1:
            raise ConfigError(f"study: rates must rise strictly from at least 0 to at most 1, two or more; found {self.rates}")
        if not self.seeds or not self.mask_seeds:
            raise ConfigError("study: seeds and mask_seeds need at least one number each")
        if self.pruner not in ("median", "none"):
            raise ConfigError(f"study: pruner must be median or none; found {self.pruner!r}")
        self.judged_under()

    def judged_under(self) -> Pattern:
        """The pattern of the objective."""
        if self.pattern is None:
            chosen = training_config(self.training).pattern
            assert isinstance(chosen, Pattern)
            return chosen
        name, settings = (self.pattern, {}) if isinstance(self.pattern, str) else (self.pattern["name"], self.pattern["settings"])
        return pattern(name, **settings)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**given, "space": {name: as_json(dim) for name, dim in self.space.items()}}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> StudyConfig:
        """Inverse of :meth:`to_json`."""
        return cls(**{**given, "space": {name: dimension(dim) for name, dim in given["space"].items()}})

    def identity(self, data: Mapping[str, str]) -> Identity:
        """What makes two trials comparable, by dotted names: all but how many there are and how they are come by."""
        found: Identity = {"model": self.model, "target": self.target, "pattern": str(self.judged_under())}
        found |= {name: list(getattr(self, name)) for name in ("seeds", "rates", "mask_seeds")}
        settings = training_config(self.training).result_settings()
        found |= {f"settings.{name}": v for name, v in self.settings.items()}
        found |= {f"training.{name}": v for name, v in settings.items() if f"training.{name}" not in self.space}
        found |= {f"space.{name}": str(dim) for name, dim in self.space.items()}
        plain: Identity = json.loads(json.dumps(found | {f"data.{name}": v for name, v in data.items()}, default=asdict))
        return plain


def open_study(config: StudyConfig, place: Place, data: Mapping[str, str]) -> optuna.Study:
    """Open a study, or begin it with the trial of the defaults.

    Args:
        config: what it does.
        place: where it lives.
        data: hashes of what it reads.

    Raises:
        ConfigError: what is there was judged otherwise, or the storage cannot be used.
        DataError: the journal is damaged.
    """
    storage = place.open()
    here = config.identity(data)
    with claiming(place.folder):
        study = optuna.create_study(
            storage=storage, study_name=place.name, direction="maximize", load_if_exists=True, pruner=pruner(config)
        )
        there = study.user_attrs.get(MADE_FOR)
        if there is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(MADE_FOR, here)
        elif there is None or (lines := differences(there, here)):
            told = ["it was not begun by Lacuna"] if there is None else lines[:8]
            raise ConfigError(
                f"study '{place.name}' in {place} judges its trials otherwise\n  " + "\n  ".join(told) + "\n  do: set these back"
                " to go on with it, or begin another one: tune.name=..."
            )
        if not any(WARM in trial.user_attrs for trial in study.get_trials(deepcopy=False)):
            study.enqueue_trial(dict(config.start), user_attrs={WARM: True})
    return study


def pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """What stops trials that fall behind the others."""
    if config.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=config.startup, n_warmup_steps=config.warmup)


def sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """What draws the parameters of a trial: a function of the study's seed, the trial's number and the trials before it.

    So one worker draws the same again after a restart, and no two workers draw alike.
    """
    return optuna.samplers.TPESampler(
        seed=derive_seed(config.seed, "trial", number) % 2**32,
        multivariate=True,
        constant_liar=True,  # of trials that still run, the worst is assumed, so that workers keep apart
    )


def draw(trial: optuna.Trial, name: str, dim: Dimension) -> Value:
    """Draw one parameter of a trial."""
    if not isinstance(dim, Span):
        drawn = trial.suggest_categorical(name, dim.values)
        assert drawn is not None
        return drawn
    if dim.whole:
        return trial.suggest_int(name, int(dim.low), int(dim.ends[1]), log=dim.log, step=int(dim.step or 1))
    return trial.suggest_float(name, float(dim.low), float(dim.ends[1]), log=dim.log, step=dim.step)
