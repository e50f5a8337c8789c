"""Settings of a model: which differ from the defaults, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def changed(config: Any) -> dict[str, Any]:
    """Settings that differ from the defaults, by name; those of a part that is switched on by dotted names."""
    found: dict[str, Any] = {}
    default = type(config)()
    for field in fields(config):
        value, usual = getattr(config, field.name), getattr(default, field.name)
        if is_dataclass(value):
            found |= {field.name: True} if usual is None else {}
            found |= {f"{field.name}.{name}": inner for name, inner in changed(value).items()}
        elif _plain(value) != _plain(usual):
            found[field.name] = value
    return found


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in words, with values as YAML writes them: ``alignment false, hidden 8``."""
    return ", ".join(f"{name} {word(value)}" for name, value in settings.items())


def word(value: Any) -> str:
    """A value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{', '.join(map(word, value))}]" if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> Any:
    """Lists come from YAML and JSON, tuples from defaults."""
    return tuple(_plain(v) for v in value) if isinstance(value, list | tuple) else value
