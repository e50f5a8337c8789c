"""Training settings of a variant: common ones, then the defaults of its model, then its own."""

from __future__ import annotations

import pytest

from lacuna.errors import ConfigError
from lacuna.models import list_models, model_class
from lacuna.training import training_config, training_settings


@pytest.mark.parametrize("name", list_models())
def test_training_defaults_of_a_model_are_valid_and_can_be_overridden(name: str) -> None:
    defaults = model_class(name).training_defaults
    settings = training_settings(name, {"epochs": 3, "batch_size": 7})
    assert settings == {"epochs": 3, "batch_size": 7, **defaults}
    training_config(settings)
    assert training_settings(name, {}, {"batch_size": 9})["batch_size"] == 9


def test_a_pattern_is_a_name_or_has_settings() -> None:
    assert training_config({}).pattern_text == training_config({"pattern": "rmm"}).pattern_text
    settings = {"pattern": {"name": "outage", "settings": {"burst": 2.0}}}
    assert training_config(settings).pattern.settings()["burst"] == 2.0
    for wrong in ({"settings": {}}, {"name": "outage", "rates": [0.1]}):
        with pytest.raises(ConfigError, match="training setting 'pattern' must be a name"):
            training_config({"pattern": wrong})
