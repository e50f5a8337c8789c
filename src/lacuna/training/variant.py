"""The name under which a recogniser is shown: that of its model, or a variant name."""

from __future__ import annotations

from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError
from lacuna.models import list_models


def check_variant(variant: str, name: str) -> str:
    """Return what a recogniser is called in tables, figures and folders.

    Args:
        variant: its own; empty = the name of its model.
        name: the registered name of its model.

    Raises:
        DataError: the variant cannot stand in a path, a column or YAML.
        ConfigError: the variant is the registered name of another model, so that a reader would take one for the other.
    """
    if variant in ("", name):
        return name
    check_name("variant", variant)
    if variant in list_models():
        raise ConfigError(
            f"variant '{variant}' cannot be given to a '{name}': there is a model of that name; choose another variant"
        )
    return variant
