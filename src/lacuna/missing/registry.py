"""The registry of missingness patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

from lacuna.errors import ConfigError
from lacuna.missing.pattern import Independence, Pattern, Removes, Unit
from lacuna.registry import Registry, check_settings

P = TypeVar("P", bound=type[Pattern])
_REGISTRY: Registry[Pattern] = Registry("missingness pattern", "lacuna.missing.patterns")
_DECLARED: dict[str, tuple[Any, ...]] = {
    "unit": get_args(Unit),
    "removes": get_args(Removes),
    "independence": get_args(Independence),
    "reaches_rate_1": (True, False),
}
list_patterns = _REGISTRY.names
pattern_class = _REGISTRY.get


def register(name: str) -> Callable[[P], P]:
    """Return a class decorator that registers a pattern under ``name``.

    Raises:
        ConfigError: another pattern has this name, or the class does not declare an attribute of
            :class:`lacuna.missing.Pattern` that has no default.
    """

    def add(cls: P) -> P:
        problem = f"pattern '{name}': class {cls.__name__} must declare the class attribute"
        for attribute, values in _DECLARED.items():
            if (found := getattr(cls, attribute, None)) not in values:
                raise ConfigError(f"{problem} '{attribute}', one of {', '.join(map(repr, values))}; found {found!r}")
        if not getattr(cls, "source", None):
            raise ConfigError(f"{problem} 'source', the paper or code that the pattern comes from")
        return _REGISTRY.register(name)(cls)

    return add


def pattern(name: str, **settings: Any) -> Pattern:
    """Return a pattern.

    Args:
        name: registered name.
        settings: settings that differ from their defaults.

    Raises:
        ConfigError: the pattern or a setting is unknown, or a setting is out of bounds.

    >>> pattern("outage", burst=5)
    Outage(burst=5.0)
    """
    cls = pattern_class(name)
    check_settings("pattern", name, cls, settings)
    return cls(**settings)
