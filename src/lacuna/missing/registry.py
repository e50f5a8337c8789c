"""The registry that knows every missingness pattern."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from lacuna.errors import ConfigError
from lacuna.missing.pattern import Pattern

_REGISTRY: dict[str, type[Pattern]] = {}
P = TypeVar("P", bound=type[Pattern])


def register(name: str) -> Callable[[P], P]:
    """Class decorator that makes a pattern available under ``name``.

    Raises:
        ConfigError: the name is taken.
    """

    def add(cls: P) -> P:
        if name in _REGISTRY and _REGISTRY[name].__qualname__ != cls.__qualname__:
            raise ConfigError(f"two patterns are called '{name}': {_REGISTRY[name].__name__} and {cls.__name__}")
        cls.name = name
        _REGISTRY[name] = cls
        return cls

    return add


def list_patterns() -> list[str]:
    """Names of all patterns, sorted."""
    _load_all()
    return sorted(_REGISTRY)


def pattern_class(name: str) -> type[Pattern]:
    """The class registered under ``name``.

    Raises:
        ConfigError: there is none; the message lists what there is.
    """
    known = list_patterns()
    if name not in _REGISTRY:
        raise ConfigError(f"unknown missingness pattern {name!r}; known: {', '.join(known)}")
    return _REGISTRY[name]


def pattern(name: str, **settings: Any) -> Pattern:
    """Make a pattern.

    Args:
        name: as registered.
        settings: those that differ from their defaults.

    Raises:
        ConfigError: unknown pattern or setting, or a setting out of bounds.
    """
    cls = pattern_class(name)
    known = [f.name for f in fields(cls)]
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigError(f"pattern '{name}' has no setting {unknown[0]!r}; it has: {', '.join(known) or 'none'}")
    return cls(**settings)


def _load_all() -> None:
    """Import every module in ``patterns/``, so that each file's decorators run."""
    import lacuna.missing.patterns as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
