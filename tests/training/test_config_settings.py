"""Training settings of a variant: common ones, then the defaults of its model, then its own."""

from __future__ import annotations

import pytest

from lacuna.errors import ConfigError
from lacuna.models import configure, list_models, model_class
from lacuna.training import model_settings, training_config, training_settings


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


@pytest.mark.parametrize("name", [name for name in list_models() if model_class(name).large])
def test_a_large_corpus_has_other_defaults_and_ones_own_settings_go_first(name: str) -> None:
    large = model_class(name).large
    assert large is not None
    below, above = large.utterances - 1, large.utterances
    assert model_settings(name, {}, utterances=below) == {}
    assert training_settings(name, {}, utterances=below) == model_class(name).training_defaults
    of_model, of_training = model_settings(name, {}, utterances=above), training_settings(name, {"epochs": 3}, utterances=above)
    assert of_model == large.settings
    assert of_training == {"epochs": 3, **model_class(name).training_defaults, **large.training}
    configure(name, **of_model)
    training_config(of_training)
    own = next(iter(large.settings))
    assert model_settings(name, {own: "own"}, utterances=above) == {**large.settings, own: "own"}
    assert training_settings(name, {}, {"learning_rate": 0.1}, utterances=above)["learning_rate"] == 0.1
