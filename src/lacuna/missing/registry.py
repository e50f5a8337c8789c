"""The registry that knows every missingness pattern."""

from __future__ import annotations

from typing import Any

from lacuna.missing.pattern import Pattern
from lacuna.registry import Registry, check_settings

_REGISTRY: Registry[Pattern] = Registry("missingness pattern", "lacuna.missing.patterns")
register = _REGISTRY.register
list_patterns = _REGISTRY.names
pattern_class = _REGISTRY.get


def pattern(name: str, **settings: Any) -> Pattern:
    """Make a pattern.

    Args:
        name: as registered.
        settings: those that differ from their defaults.

    Raises:
        ConfigError: unknown pattern or setting, or a setting out of bounds.
    """
    cls = pattern_class(name)
    check_settings("pattern", name, cls, settings)
    return cls(**settings)
