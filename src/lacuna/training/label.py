"""The name under which a recogniser is shown: that of its model, or a label of its own for a variant of it."""

from __future__ import annotations

from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError
from lacuna.models import list_models


def check_label(label: str, name: str) -> str:
    """Return what a recogniser is called in tables, figures and folders.

    Args:
        label: its own; empty = the name of its model.
        name: the registered name of its model.

    Raises:
        DataError: the label cannot stand in a path, a column or YAML.
        ConfigError: the label is the registered name of another model, so that a reader would take one for the other.
    """
    if label in ("", name):
        return name
    check_name("label", label)
    if label in list_models():
        raise ConfigError(f"label '{label}' cannot be given to a '{name}': there is a model of that name; choose another label")
    return label
