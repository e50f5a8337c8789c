"""Search spaces: every model's own fits it, and what a person changes of it is checked before anything runs."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import ConfigError
from lacuna.models import Choice, Span, configure, list_models, model_class
from lacuna.training import TrainingConfig, training_settings
from lacuna.tuning.space import TRAINING, dimension, search, training_config
from lacuna.tuning.study import draw

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list_models())
def test_every_models_space_names_its_settings_reaches_what_it_accepts_and_holds_its_defaults(name: str) -> None:
    config = model_class(name).Config
    known = {f.name for f in fields(config)}
    for setting, dim in config.space.items():
        assert setting in known
        for end in dim.ends:
            assert dim.holds(end)
            configure(name, **{setting: end})
        assert dim.holds(getattr(config(), setting)), f"{setting} = {getattr(config(), setting)!r} is not in {dim}"


@pytest.mark.parametrize("name", list_models())
def test_every_model_that_learns_can_be_tuned_from_its_defaults(name: str) -> None:
    """Those that do not learn can if they have settings; a model without either says so."""
    cls = model_class(name)
    if not cls.learns and not cls.Config.space:
        with pytest.raises(ConfigError, match=f"model '{name}' has nothing to search"):
            search(name, {}, {}, {}, {})
        return
    found = search(name, {}, {}, {}, {})
    assert {f"training.{key}" for key in TRAINING} <= set(found.space) or not cls.learns
    assert all(dim.holds(found.start[key]) for key, dim in found.space.items())
    if len(cls.Config.space) + cls.learns:  # the corners together, too
        for at in (0, -1):
            configure(name, **{key: dim.ends[at] for key, dim in cls.Config.space.items()})


def test_every_model_can_be_tuned_from_the_base_configuration() -> None:
    training = yaml.safe_load((ROOT / "conf/base/parameters_train.yml").read_text("utf-8"))["train"]["training"]
    training = {key: value for key, value in training.items() if "${" not in str(value)}
    for name in (name for name in list_models() if name != "prior"):
        common = training_settings(name, training)
        if name == "cider_as_published":  # it is published without weight decay: no logarithmic span begins there
            with pytest.raises(
                ConfigError, match=r"cannot start from the variant's own training.weight_decay = 0.0(.|\n)*fix it"
            ):
                search(name, {}, common, {}, {})
            assert "training.weight_decay" not in search(name, {}, common, {}, {"weight_decay": 0.0}).space
        else:
            search(name, {}, common, {}, {})


def test_a_person_narrows_widens_fixes_and_leaves_out() -> None:
    changed = {"hidden": Span(8, 2048, log=True), "dropout": 0.25, "modality_dropout": None}
    training = {"batch_size": Choice((32, 64)), "weight_decay": None}
    found = search("mlp", {"modality_dropout": 0.1}, {"epochs": 3}, changed, training)
    assert found.space == {
        "hidden": Span(8, 2048, log=True),
        "training.learning_rate": TRAINING["learning_rate"],
        "training.batch_size": Choice((32, 64)),
    }
    assert found.settings == {"modality_dropout": 0.1, "dropout": 0.25}
    assert found.training == {"epochs": 3}
    assert found.start == {"hidden": 64, "training.learning_rate": 1e-3, "training.batch_size": 64}


@pytest.mark.parametrize(
    ("settings", "changed", "training", "told"),
    [
        (
            {},
            {"hiden": Span(1, 2)},
            {},
            r"no setting 'hiden' \(did you mean 'hidden'\?\); it has: calibrate, d",
        ),
        ({}, {}, {"epoch": 3}, r"no setting 'epoch'"),
        ({}, {"hidden": Span(-1, 64)}, {}, r"the space of hidden reaches -1, which is refused: model 'mlp': setting 'hidden'"),
        ({}, {"dropout": Span(0.0, 1.5)}, {}, r"the space of dropout reaches 1.5"),
        ({}, {}, {"learning_rate": Span(0.0, 0.1)}, r"the space of training.learning_rate reaches 0.0(.|\n)*tune.space.training"),
        (
            {"hidden": 1024},
            {},
            {},
            r"variant's own hidden = 1024: it is searched in 16 to 256, logarithmic\n  do: widen it or fix",
        ),
        ({}, {"hidden": 10**6}, {}, r"setting 'hidden' must be a whole number"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_by_name(
    settings: dict[str, Any], changed: dict[str, Any], training: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        search("mlp", settings, {}, changed, training)


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"low": 2, "high": 1}, "the lower one first"),
        ({"low": 0, "high": 1, "log": True}, "must start above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "a step must be"),
        ({"low": 1}, "a dimension is"),
        ({"low": 1, "hi": 2}, "has no setting 'hi'"),
        ({"values": [1]}, "at least two different"),
        ({"values": [1, 1]}, "at least two different"),
        ([1, 2], "one value or null; found"),
    ],
)
def test_what_is_no_dimension_is_refused(given_: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        dimension(given_)


numbers = st.one_of(st.integers(1, 500), st.floats(1e-3, 500, allow_nan=False))


@st.composite
def spans(draw_: st.DrawFn) -> Span:
    low, width = draw_(numbers), draw_(numbers)
    return Span(low, low + width, log=draw_(st.booleans()))


choices = st.lists(st.integers(), min_size=2, max_size=5, unique=True).map(lambda values: Choice(tuple(values)))


@given(st.one_of(spans(), choices), st.integers(0, 9))
def test_whatever_is_drawn_lies_in_its_dimension_and_dimensions_can_be_written_as_yaml(dim: Span | Choice, seed: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    assert dim.holds(draw(trial, "x", dim))
    assert dimension(asdict(dim)) == dim
    assert all(dim.holds(end) for end in dim.ends)


def test_a_pattern_may_have_settings() -> None:
    config = training_config({"pattern": {"name": "imbalanced", "settings": {}}, "epochs": 2})
    assert config.pattern_text.startswith("imbalanced")
    assert training_config({}) == TrainingConfig()
