"""What a study searches, how it scores trials, and the check that all of its trials are scored in the same way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import optuna
from optuna.trial import TrialState

from lacuna.errors import ConfigError
from lacuna.missing import Pattern, derive_seed, pattern
from lacuna.models import Dimension
from lacuna.models.space import Span, Value
from lacuna.training.identity import Identity, differences
from lacuna.tuning.space import training_config
from lacuna.tuning.storage import Place

IDENTITY = "lacuna"  # attribute of the study: what makes its trials comparable
WARM, REASON, WORKER = "warm", "reason", "worker"  # of a trial: the variant's own settings; its error; the process that runs it


@dataclass(frozen=True)
class StudyConfig:
    """What a study does.

    Attributes:
        variant: what is tuned, as tables name it.
        model: the registered model of the variant.
        settings: of the model, those that are not searched.
        training: training settings that are not searched, as plain values.
        space: by parameter, see :class:`lacuna.tuning.space.Searched`.
        start: the variant's own values; they are the first trial, which is never pruned.
        target: of the corpus; ``None`` = its first.
        trials: number of trials to finish; pruned trials count.
        workers: processes of this command; 0 = the trials run in the calling process, and end with it.
        seed: of the sampler.
        seeds: of training; the value of a trial is the mean over them.
        pattern: of missingness, under which trials are scored: a name or ``{name, settings}``; ``None`` = that of training.
        rates: missing rates of the area under the curve, in [0, 1].
        mask_seeds: one mask each for every rate.
        pruner: ``median``, ``halving`` (successive halving, whose first rung is ``warmup``), or ``none``.
        warmup: epochs in which nothing is pruned.
        startup: number of completed trials before any is pruned.
        failures: number of trials that raised an error after which one command stops.
        restarts: number of dead workers that one command replaces.

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
    pruner: Literal["median", "halving", "none"] = "median"
    warmup: int = 5
    startup: int = 5
    failures: int = 10
    restarts: int = 20

    def __post_init__(self) -> None:
        if min(self.trials, self.failures) < 1 or min(self.workers, self.restarts, self.warmup, self.startup) < 0:
            raise ConfigError("study: trials and failures must be at least 1; workers, restarts, warmup and startup at least 0")
        if len(self.rates) < 2 or list(self.rates) != sorted(set(self.rates)) or self.rates[0] < 0 or self.rates[-1] > 1:
            raise ConfigError(f"study: rates must be two or more rising numbers in [0, 1]; found {self.rates}")
        if not self.seeds or not self.mask_seeds:
            raise ConfigError("study: seeds and mask_seeds need at least one number each")
        self.judged_under()

    def judged_under(self) -> Pattern:
        """Return the pattern of missingness under which trials are scored."""
        if self.pattern is None:
            chosen = training_config(self.training).pattern
            assert isinstance(chosen, Pattern)
            return chosen
        name, settings = (self.pattern, {}) if isinstance(self.pattern, str) else (self.pattern["name"], self.pattern["settings"])
        return pattern(name, **settings)

    def identity(self, data: Mapping[str, str]) -> Identity:
        """Return what must be equal for two trials to be comparable, by dotted names. How many trials there are is left out."""
        identity: Identity = {"model": self.model, "target": self.target, "pattern": str(self.judged_under())}
        identity |= {name: list(getattr(self, name)) for name in ("seeds", "rates", "mask_seeds")}
        training = training_config(self.training).result_settings()
        identity |= {f"settings.{name}": value for name, value in self.settings.items()}
        identity |= {f"training.{name}": value for name, value in training.items() if f"training.{name}" not in self.space}
        identity |= {f"space.{name}": str(dim) for name, dim in self.space.items()}
        identity |= {f"data.{name}": digest for name, digest in data.items()}
        plain: Identity = json.loads(json.dumps(identity, default=asdict))
        return plain


class Count(NamedTuple):
    """How many trials are finished (completed or pruned), run (dead workers count until noticed), and raised an error."""

    finished: int
    running: int
    raised: int

    @classmethod
    def of(cls, study: optuna.Study) -> Count:
        """Count the trials of a study."""
        trials = study.get_trials(deepcopy=False)
        states = Counter(trial.state for trial in trials)
        raised = sum(trial.state == TrialState.FAIL and REASON in trial.user_attrs for trial in trials)
        return cls(states[TrialState.COMPLETE] + states[TrialState.PRUNED], states[TrialState.RUNNING], raised)

    def over(self, config: StudyConfig) -> bool:
        """Return whether no more trials shall begin, however those that run will end."""
        return self.finished >= config.trials or self.raised >= config.failures


def open_study(config: StudyConfig, place: Place, data: Mapping[str, str]) -> optuna.Study:
    """Open a study, or create it; its first trial has the variant's own settings.

    Args:
        config: what the study does.
        place: where it is stored.
        data: hashes of the splits that it reads.

    Raises:
        ConfigError: the study scores its trials in another way, or the database cannot be used.
    """
    expected, storage = config.identity(data), place.open()
    try:
        study = optuna.create_study(storage=storage, study_name=place.name, direction="maximize", load_if_exists=True)
        stored, trials = study.user_attrs.get(IDENTITY), study.get_trials(deepcopy=False)
        if stored is not None and not isinstance(stored, dict):
            raise ValueError(f"its identity is {stored!r}")
    except Exception as error:  # an edited database may hold anything
        raise ConfigError(
            f"study '{place.name}' in {place} cannot be read\n  found: {type(error).__name__}: {error}\n"
            "  do: restore the database, or start another study: tune.name=..."
        ) from error
    if stored is None and not trials:
        study.set_user_attr(IDENTITY, expected)
    elif lines := ["it was not created by Lacuna"] if stored is None else differences(stored, expected)[:8]:
        raise ConfigError(
            f"study '{place.name}' in {place} scores its trials in another way\n  " + "\n  ".join(lines)
            + "\n  do: set these back to continue it, or start another study: tune.name=..."
        )  # fmt: skip
    if all(WARM not in t.user_attrs or t.state == TrialState.FAIL for t in study.get_trials(deepcopy=False)):
        study.enqueue_trial(dict(config.start), user_attrs={WARM: True})
    return study


def pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """Return what stops trials that are worse than the others."""
    if config.pruner == "none":
        return optuna.pruners.NopPruner()
    if config.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, config.warmup), reduction_factor=3)
    return optuna.pruners.MedianPruner(n_startup_trials=config.startup, n_warmup_steps=config.warmup)


def sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """Return what draws the parameters of a trial; it depends on the study's seed, the trial's number and earlier trials only."""
    seed = derive_seed(config.seed, "trial", number) % 2**32
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)  # running trials count as bad ones


def draw(trial: optuna.Trial, name: str, dim: Dimension) -> Value:
    """Draw one parameter of a trial."""
    if not isinstance(dim, Span):
        value = trial.suggest_categorical(name, dim.values)
        assert value is not None
        return value
    if dim.whole:
        return trial.suggest_int(name, int(dim.low), int(dim.ends[1]), log=dim.log, step=int(dim.step or 1))
    return trial.suggest_float(name, float(dim.low), float(dim.ends[1]), log=dim.log, step=dim.step)
