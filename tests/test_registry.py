"""Registries and settings: unknown names are refused with the nearest known one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lacuna.corpus.importers import importer_class
from lacuna.errors import ConfigError, suggestion
from lacuna.missing import list_patterns, pattern_class
from lacuna.models import list_models, model_class
from lacuna.registry import check_settings, names_in_source
from lacuna.shift import corruption


@pytest.mark.parametrize(
    ("get", "misspelt", "nearest"),
    [
        (model_class, "lienar", "linear"),
        (pattern_class, "rmfn", "rmfm"),
        (importer_class, "mosi_csv", "mosi-csv"),
        (corruption, "Noise", "noise"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(get, misspelt, nearest):
    with pytest.raises(ConfigError, match=rf"unknown .* '{misspelt}' \(did you mean '{nearest}'\?\); known: .*{nearest}"):
        get(misspelt)
    with pytest.raises(ConfigError, match=r"unknown .* 'xyzzy'; known: "):
        get("xyzzy")


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    @dataclass
    class Settings:
        hidden: int = 1
        dropout: float = 0.0

    check_settings("model", "mlp", Settings, {"hidden": 2})
    with pytest.raises(ConfigError, match=r"'mlp' has no setting 'hiden' \(did you mean 'hidden'\?\); it has: dropout, hidden"):
        check_settings("model", "mlp", Settings, {"hiden": 2})
    with pytest.raises(ConfigError, match=r"model 'mlp' has no option 'x'; it has: dropout, hidden"):
        check_settings("model", "mlp", Settings, {"x": 2}, "option")


def test_a_suggestion_is_a_known_name_or_nothing():
    assert suggestion("TEXT", ["text", "audio"]) == " (did you mean 'text'?)"
    assert suggestion("text", []) == ""


@pytest.mark.parametrize(
    ("package", "names"),
    [("lacuna.models", list_models()), ("lacuna.missing.patterns", list_patterns())],
    ids=["models", "patterns"],
)
def test_names_read_from_the_source_are_those_of_the_registry(package: str, names: list[str]) -> None:
    assert names_in_source(package) == names
