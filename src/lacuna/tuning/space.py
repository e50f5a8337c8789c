"""What a study searches: the model's own space, that of training, and what a person narrows, widens or fixes of both."""

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
    """A search space that was checked.

    Attributes:
        settings: of the model, those that are not searched.
        training: likewise, of training.
        space: by parameter: a setting of the model, or one of training behind ``training.``.
        start: the variant's own values, from which the study starts.
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
    """Put a search space together, and try all its ends.

    Args:
        model: a registered model.
        settings: of the variant, where they differ from the defaults.
        training: training settings of the variant, a pattern by name or as ``{name, settings}``.
        changed: by setting of the model, what is searched instead: a span or choice; a value = fixed at it; ``None`` = not
            searched, it stays what the variant says.
        changed_training: likewise, of training.

    Raises:
        ConfigError: an unknown setting, an end that the model refuses, a start outside of its span, or nothing to search.
    """
    config = model_class(model).Config
    check_settings("the space of model", model, config, changed)
    check_settings("the space of", "training", TrainingConfig, changed_training)
    learns = model_class(model).learns
    own, fixed = _split({**config.space, **changed})
    common, fixed_training = _split({**(TRAINING if learns else {}), **changed_training})
    settings, training = {**settings, **fixed}, {**training, **fixed_training}
    usual = {**asdict(configure(model, **settings))}
    usual_training = training_config(training)
    space = {**own, **{PREFIX + name: dim for name, dim in common.items()}}
    start = {name: usual[name] for name in own} | {PREFIX + name: getattr(usual_training, name) for name in common}
    if not space:
        raise ConfigError(f"model '{model}' has nothing to search: name a span or choice under tune.space")
    for name, dim in space.items():
        for end in dim.ends:
            _try(model, settings, training, name, end)
        if not dim.holds(start[name]):
            raise ConfigError(
                f"the study of '{model}' cannot start from the variant's own {name} = {start[name]!r}: it is searched in {dim}\n"
                f"  do: widen it or fix it in {_where(name)}, e.g. {name.removeprefix(PREFIX)}: {start[name]!r}"
            )
    for name in {*settings} & {*own}:
        del settings[name]
    for name in {*training} & {*common}:
        del training[name]
    return Searched(settings, training, space, start)


def split_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of a trial as settings of the model and of training."""
    settings = {name: value for name, value in parameters.items() if not name.startswith(PREFIX)}
    training = {name.removeprefix(PREFIX): value for name, value in parameters.items() if name.startswith(PREFIX)}
    return settings, training


def training_config(options: Mapping[str, Any]) -> TrainingConfig:
    """Training settings from plain values; a pattern is a name or ``{name, settings}``.

    Raises:
        ConfigError: an unknown setting, or a value out of bounds.
    """
    check_settings("train", "training", TrainingConfig, options)
    config = TrainingConfig(**{name: value for name, value in options.items() if name != "pattern"})
    given = options.get("pattern", config.pattern)
    if isinstance(given, Mapping):
        given = pattern(given["name"], **given.get("settings", {}))
    return replace(config, pattern=given)


def dimension(given: Any) -> Change:
    """A span, a choice or a value as YAML says it: ``{low, high, log, step}``, ``{values: [...]}``, or a plain value.

    Raises:
        ConfigError: it is none of them.
    """
    if not isinstance(given, Mapping):
        if given is None or isinstance(given, Value):
            return given
        raise ConfigError(f"a dimension is {{low: ..., high: ...}}, {{values: [...]}}, one value or null; found {given!r}")
    cls = Choice if "values" in given else Span
    check_settings("dimension", cls.__name__.lower(), cls, given)
    if cls is Choice and isinstance(given["values"], list | tuple):
        return Choice(tuple(given["values"]))
    if cls is Span and {"low", "high"} <= set(given):
        return Span(**given)
    raise ConfigError(f"a dimension is {{low: ..., high: ..., log: ..., step: ...}} or {{values: [...]}}; found {dict(given)!r}")


def as_json(dim: Dimension) -> dict[str, Any]:
    """Inverse of :func:`dimension`."""
    if isinstance(dim, Choice):
        return {"values": list(dim.values)}
    return asdict(dim)


def _split(changes: Mapping[str, Change]) -> tuple[dict[str, Dimension], dict[str, Value]]:
    """What is searched, and what is fixed; what is neither is left as it was."""
    searched = {name: change for name, change in changes.items() if isinstance(change, Dimension)}
    return searched, {name: change for name, change in changes.items() if isinstance(change, Value)}


def _try(model: str, settings: Mapping[str, Any], training: Mapping[str, Any], name: str, value: Value) -> None:
    """Refuse an end that no trial could be run with."""
    own, common = split_parameters({name: value})
    try:
        configure(model, **{**settings, **own})
        training_config({**training, **common})
    except ConfigError as error:
        raise ConfigError(f"the space of {name} reaches {value!r}, which is refused: {error}\n  do: {_where(name)}") from None


def _where(name: str) -> str:
    return f"tune.space.{'training' if name.startswith(PREFIX) else 'settings'}"
