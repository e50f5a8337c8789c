"""The search space of a study: that of the model, that of training, and what a user narrows, widens or fixes of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lacuna.errors import ConfigError
from lacuna.missing import pattern
from lacuna.models import Choice, Dimension, Space, Span, configure, model_class
from lacuna.models.space import Value
from lacuna.registry import check_settings
from lacuna.training import TrainingConfig

TRAINING: Space = {
    "learning_rate": Span(1e-4, 3e-2, log=True),
    "weight_decay": Span(1e-5, 0.3, log=True),
    "batch_size": Span(16, 512, log=True),
}
PREFIX = "training."  # of a training setting among the parameters of a trial
Change = Dimension | Value | None


@dataclass(frozen=True)
class Searched:
    """A checked search space.

    Attributes:
        settings: of the model, those that are not searched.
        training: training settings that are not searched.
        space: by parameter; the name of a training setting begins with ``training.``.
        start: the variant's own values, with which the study starts.
    """

    settings: dict[str, Any]
    training: dict[str, Any]
    space: dict[str, Dimension]
    start: dict[str, Value]


def search(
    model: str,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    changed: Mapping[str, Change],
    changed_training: Mapping[str, Change],
) -> Searched:
    """Build a search space, and check that the model accepts both ends of every dimension.

    Args:
        model: a registered model.
        settings: of the variant, where they differ from the defaults.
        training: training settings of the variant; its pattern is a name or ``{name, settings}``.
        changed: by setting of the model: a span or choice to search, a value to fix, or ``None`` = keep the variant's value.
        changed_training: the same for training settings.

    Raises:
        ConfigError: an unknown setting, an end that the model refuses, a start outside of its span, or nothing to search.
    """
    config = model_class(model).Config
    check_settings("the space of model", model, config, changed)
    check_settings("the space of", "training", TrainingConfig, changed_training)
    model_space = {**config.space, **changed}
    training_space = {**(TRAINING if model_class(model).learns else {}), **changed_training}
    settings, training = {**settings, **_fixed(model_space)}, {**training, **_fixed(training_space)}
    start_values = asdict(configure(model, **settings))
    start_values |= {PREFIX + name: value for name, value in vars(training_config(training)).items()}
    changes = model_space | {PREFIX + name: change for name, change in training_space.items()}
    space = {name: change for name, change in changes.items() if isinstance(change, Dimension)}
    if not space:
        raise ConfigError(f"model '{model}' has nothing to search: name a span or choice under tune.space")
    for name, dim in space.items():
        for end in dim.ends:
            _check_end(model, settings, training, name, end)
        if not dim.holds(start := start_values[name]):
            raise ConfigError(
                f"the study of '{model}' cannot start from the variant's own {name} = {start!r}: it is searched in {dim}\n"
                f"  do: widen it or fix it in {_where(name)}, e.g. {name.removeprefix(PREFIX)}: {start!r}"
            )
    return Searched(
        {name: value for name, value in settings.items() if name not in space},
        {name: value for name, value in training.items() if PREFIX + name not in space},
        space,
        {name: start_values[name] for name in space},
    )


def split_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters of a trial as settings of the model and settings of training."""
    settings = {name: value for name, value in parameters.items() if not name.startswith(PREFIX)}
    training = {name.removeprefix(PREFIX): value for name, value in parameters.items() if name.startswith(PREFIX)}
    return settings, training


def training_config(options: Mapping[str, Any]) -> TrainingConfig:
    """Build training settings from plain values; a pattern is a name or ``{name, settings}``.

    Raises:
        ConfigError: an unknown setting, or a value out of bounds.
    """
    check_settings("train", "training", TrainingConfig, options)
    config = TrainingConfig(**{name: value for name, value in options.items() if name != "pattern"})
    chosen = options.get("pattern", config.pattern)
    if isinstance(chosen, Mapping):
        chosen = pattern(chosen["name"], **chosen.get("settings", {}))
    return replace(config, pattern=chosen)


def dimension(value: Any) -> Change:
    """Read a dimension of YAML: ``{low, high, log, step}``, ``{values: [...]}``, a plain value, or ``None``.

    Raises:
        ConfigError: it is none of them.
    """
    if value is None or isinstance(value, Value):
        return value
    if isinstance(value, Mapping):
        cls = Choice if "values" in value else Span
        check_settings("dimension", cls.__name__.lower(), cls, value)
        if cls is Choice and isinstance(value["values"], list | tuple):
            return Choice(tuple(value["values"]))
        if cls is Span and {"low", "high"} <= set(value):
            return Span(**value)
    raise ConfigError(
        f"a dimension is {{low: ..., high: ..., log: ..., step: ...}}, {{values: [...]}}, one value or null; found {value!r}"
    )


def _fixed(changes: Mapping[str, Change]) -> dict[str, Value]:
    return {name: change for name, change in changes.items() if isinstance(change, Value)}


def _check_end(model: str, settings: Mapping[str, Any], training: Mapping[str, Any], name: str, value: Value) -> None:
    """Refuse an end of a dimension with which no trial could run."""
    own, common = split_parameters({name: value})
    try:
        configure(model, **{**settings, **own})
        training_config({**training, **common})
    except ConfigError as error:
        raise ConfigError(f"the space of {name} reaches {value!r}, which is refused: {error}\n  do: {_where(name)}") from None


def _where(name: str) -> str:
    return f"tune.space.{'training' if name.startswith(PREFIX) else 'settings'}"
