"""Settings of a model that differ from its defaults, and how a report names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lacuna.reporting.robustness.facts import ModelFacts


def changed(config: Any) -> dict[str, Any]:
    """Return the settings that differ from the defaults, by name.

    Args:
        config: a frozen dataclass whose fields all have defaults. Settings of a nested part have dotted names; a part that is
            off by default and switched on is listed as ``True``.
    """
    differing: dict[str, Any] = {}
    defaults = type(config)()
    for field in fields(config):
        value, default = getattr(config, field.name), getattr(defaults, field.name)
        if is_dataclass(value):
            differing |= {field.name: True} if default is None else {}
            differing |= {f"{field.name}.{name}": inner for name, inner in changed(value).items()}
        elif _as_tuples(value) != _as_tuples(default):
            differing[field.name] = value
    return differing


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as text, with values as in YAML: ``alignment false, hidden 8``."""
    return ", ".join(f"{name} {yaml_value(value)}" for name, value in settings.items())


def yaml_value(value: Any) -> str:
    """Return a value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{', '.join(map(yaml_value, value))}]" if isinstance(value, list | tuple) else str(value)


def variant_text(about: ModelFacts) -> str:
    """Return the registered model of a variant and its changed settings: ``cider with alignment false``."""
    return f"{about.model or about.name} with {settings_text(about.changed) or 'its default settings'}"


def variants_text(models: Mapping[str, ModelFacts]) -> str:
    """Return a description of all variants that differ from their registered model; empty if there is none.

    Args:
        models: facts by variant. A training setting is listed for variants that share its value with at most half of the models.
    """
    parts = []
    for variant, about in models.items():
        renamed = about.model not in ("", variant)
        training = settings_text(_unusual_training(about, models))
        if not (renamed or about.changed or training):
            continue
        description = f"{variant}: {variant_text(about)}" if renamed else variant
        if not renamed and about.changed:
            description = f"{variant} with {settings_text(about.changed)}"
        parts.append(description + (f", trained with {training}" if training else ""))
    return "; ".join(parts)


def trials_text(models: Mapping[str, ModelFacts]) -> str:
    """Return how many settings of each model were compared on validation before training; empty if none was searched."""
    counts = Counter(about.trials for about in models.values())
    if set(counts) <= {1}:
        return ""
    usual = max(counts, key=lambda number: (counts[number], number))
    others = [f"{variant} {about.trials}" for variant, about in models.items() if about.trials != usual]
    return f"{usual} for each model" + (f" but {', '.join(others)}" if others else "") + " (1 = its own settings alone)"


def _unusual_training(about: ModelFacts, models: Mapping[str, ModelFacts]) -> dict[str, Any]:
    """Return the training settings of a model that at most half of the models share."""
    unusual = {}
    for name, value in about.training.items():
        counts = Counter(yaml_value(other.training.get(name)) for other in models.values() if other.training)
        if 2 * counts[yaml_value(value)] <= counts.total() and len(counts) > 1:
            unusual[name] = value
    return unusual


def _as_tuples(value: Any) -> Any:
    """Return lists as tuples: YAML and JSON give lists, defaults are tuples."""
    return tuple(_as_tuples(v) for v in value) if isinstance(value, list | tuple) else value
