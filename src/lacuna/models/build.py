"""From a name and settings to a recogniser, with the parts that any of them can switch on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError, naming_extras
from lacuna.models.base import Recognizer, model_class
from lacuna.models.config import Config, Maci, check_bounds
from lacuna.models.wrappers.causal import Causal
from lacuna.models.wrappers.window import Windowed
from lacuna.models.wrappers.wrapped import Wrapped
from lacuna.registry import check_settings

WRAPPER_MODULES = (Windowed.__module__, Causal.__module__)
WIDEST = 64  # turns on either side


def configure(name: str, **settings: Any) -> Config:
    """A model's settings, defaults included.

    Args:
        name: as registered.
        settings: fields of its config that differ from their defaults; ``maci`` may be a mapping of its own fields.

    Raises:
        ConfigError: unknown model or setting, or a value out of bounds.
    """
    cls = model_class(name)
    check_settings("model", name, cls.Config, settings)
    config = cls.Config(**settings)
    check_bounds(name, config, window=(0, WIDEST))
    return replace(config, maci=_maci(name, config.maci))


def _maci(name: str, given: object) -> Maci | None:
    if given is None or isinstance(given, Maci):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f"model '{name}': setting 'maci' must be settings or null; found {given!r}")
    check_settings("maci of", name, Maci, given)
    return Maci(**given)


def build(name: str, schema: Schema, **settings: Any) -> Recognizer:
    """Make an untrained recogniser.

    Args:
        name: as registered.
        schema: what it is built for.
        settings: fields of the model's ``Config`` that differ from their defaults.

    Raises:
        ConfigError: unknown model or setting, a value out of bounds, or a part that does not fit the model.
    """
    config = configure(name, **settings)
    with naming_extras(f"model '{name}'"):
        model = model_class(name)(schema, config)
    for wrapper, setting in wrappers_of(config).items():
        model = wrapper(model, setting)
    return model


def wrappers_of(config: Config) -> dict[Callable[[Recognizer, Any], Wrapped], Any]:
    """Return the wrappers that a model's settings switch on, innermost first, each with its setting."""
    settings: dict[Callable[[Recognizer, Any], Wrapped], Any] = {Windowed: config.window, Causal: config.maci}
    return {wrapper: setting for wrapper, setting in settings.items() if setting}
