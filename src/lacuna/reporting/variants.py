"""What a recogniser is beside its label: the registered model, and what was set otherwise than by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lacuna.reporting.facts import ModelFacts


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
    return ", ".join(f"{name} {_word(value)}" for name, value in settings.items())


def variant_text(about: ModelFacts) -> str:
    """Which registered model it is, and what was set otherwise: ``cider with alignment false``."""
    return f"{about.model or about.name} with {settings_text(about.changed) or 'its default settings'}"


def variants_text(models: Mapping[str, ModelFacts]) -> str:
    """What a reader must know to tell the rows of a table apart; empty if every model is as it comes.

    Args:
        models: facts by label. Training settings are told of those that differ in one from most of the others.
    """
    parts = []
    for label, about in models.items():
        own = about.model not in ("", label)
        trained = settings_text(_unusual(about, models))
        if not (own or about.changed or trained):
            continue
        what = f"{label}: {variant_text(about)}" if own else label
        if not own and about.changed:
            what = f"{label} with {settings_text(about.changed)}"
        parts.append(what + (f", trained with {trained}" if trained else ""))
    return "; ".join(parts)


def _unusual(about: ModelFacts, models: Mapping[str, ModelFacts]) -> dict[str, Any]:
    """Training settings of a model that more than half of the models do not share with it."""
    found = {}
    for name, value in about.training.items():
        values = Counter(_word(other.training.get(name)) for other in models.values() if other.training)
        if 2 * values[_word(value)] <= values.total() and len(values) > 1:
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    """Lists come from YAML and JSON, tuples from defaults."""
    return tuple(_plain(v) for v in value) if isinstance(value, list | tuple) else value


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{', '.join(map(_word, value))}]" if isinstance(value, list | tuple) else str(value)
