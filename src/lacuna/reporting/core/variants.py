"""What a recogniser is beside its variant: the registered model, and what was set otherwise than by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lacuna.reporting.core.settings import settings_text, word
from lacuna.reporting.robustness.facts import ModelFacts


def variant_text(about: ModelFacts) -> str:
    """Which registered model it is, and what was set otherwise: ``cider with alignment false``."""
    return f"{about.model or about.name} with {settings_text(about.changed) or 'its default settings'}"


def variants_text(models: Mapping[str, ModelFacts]) -> str:
    """What a reader must know to tell the rows of a table apart; empty if every model is as it comes.

    Args:
        models: facts by variant. Training settings are told of those that differ in one from most of the others.
    """
    parts = []
    for variant, about in models.items():
        own = about.model not in ("", variant)
        trained = settings_text(_unusual(about, models))
        if not (own or about.changed or trained):
            continue
        what = f"{variant}: {variant_text(about)}" if own else variant
        if not own and about.changed:
            what = f"{variant} with {settings_text(about.changed)}"
        parts.append(what + (f", trained with {trained}" if trained else ""))
    return "; ".join(parts)


def _unusual(about: ModelFacts, models: Mapping[str, ModelFacts]) -> dict[str, Any]:
    """Training settings of a model that more than half of the models do not share with it."""
    found = {}
    for name, value in about.training.items():
        values = Counter(word(other.training.get(name)) for other in models.values() if other.training)
        if 2 * values[word(value)] <= values.total() and len(values) > 1:
            found[name] = value
    return found
