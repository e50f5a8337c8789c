"""Settings out of bounds are refused by name, before torch sees them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from lacuna.corpus import Schema
from lacuna.errors import ConfigError
from lacuna.models import build, configure, list_models, model_class
from standin import StandIn, generate

WRONG: list[tuple[str, str, Any]] = [
    ("mlp", "hidden", -1),
    ("mlp", "hidden", 0),
    ("mlp", "hidden", "64"),
    ("mlp", "hidden", 64.0),
    ("mlp", "hidden", True),
    ("mlp", "hidden", None),
    ("mlp", "hidden", 10**30),
    ("mlp", "dropout", 1.5),
    ("mlp", "dropout", float("nan")),
    ("mlp", "modality_dropout", 7),
    ("mlp", "modality_dropout", -0.1),
    ("context_gru", "hidden", -1),
    ("context_gru", "dropout", "0.5"),
    ("knn", "neighbours", 0),
    ("knn", "neighbours", 2.5),
    ("knn", "bank", 0),
    ("ridge", "penalty", -5),
    ("ridge", "penalty", 0),
    ("ridge", "penalty", float("inf")),
]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return generate(StandIn(dialogues=5, turns=2, dims=(("text", 2),))).schema()


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_a_setting_out_of_bounds_is_named_with_its_bound_and_value(name: str, field: str, value: Any, schema: Schema) -> None:
    message = rf"model '{name}': setting '{field}' must be a .*number from \S+ to \S+; found {re.escape(repr(value))}$"
    with pytest.raises(ConfigError, match=message):
        configure(name, **{field: value})
    with pytest.raises(ConfigError, match=message):
        build(name, schema, **{field: value})


@pytest.mark.parametrize("name", list_models())
def test_every_number_among_the_settings_has_bounds(name: str) -> None:
    """A new model whose config forgets to check itself fails here."""
    for field in fields(model_class(name).Config):
        if isinstance(getattr(configure(name), field.name), int | float):
            for value in (-1e9, float("nan"), "1"):
                with pytest.raises(ConfigError, match=f"model '{name}': setting '{field.name}'"):
                    configure(name, **{field.name: value})


def test_bounds_themselves_are_allowed() -> None:
    configure("mlp", hidden=1, dropout=0, modality_dropout=1)
    configure("knn", neighbours=1, bank=1)
