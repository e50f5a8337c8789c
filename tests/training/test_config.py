from __future__ import annotations

import json
from typing import Any

import pytest

from lacuna.errors import ConfigError
from lacuna.missing import pattern
from lacuna.training import TrainingConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 0),
        ("accumulate", 0),
        ("patience", -1),
        ("checkpoint_steps", -1),
        ("threads", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("weight_decay", -0.1),
        ("checkpoint_seconds", -1.0),
        ("clip_norm", -1.0),
        ("clip_norm", float("inf")),
        ("ema", 1.0),
        ("rates", ()),
        ("rates", (0.2, 1.5)),
        ("rates", 0.3),
        ("rates", "0.3"),
        ("valid_rates", [None]),
        ("valid_mask_seeds", []),
        ("valid_mask_seeds", [-1]),
        ("schedule", "linear"),
        ("precision", "float16"),
        ("device", "tpu"),
        ("device", "cuda:x"),
        ("device", None),
        ("tensorboard", "yes"),
        ("pattern", 3),
    ],
)
def test_a_wrong_setting_is_named_with_its_bound_and_value(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"'{field}' must be .+; found") as error:
        TrainingConfig(**{field: value})
    if value not in ((), []):
        assert repr(value[-1] if isinstance(value, (tuple, list)) and value else value) in str(error.value)


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown missingness pattern 'rmmm'"):
        TrainingConfig(pattern="rmmm")


def test_lists_become_tuples_and_names_become_patterns() -> None:
    config = TrainingConfig(rates=[0.1, 0.2], pattern="rmfm")  # type: ignore[arg-type]
    assert config.rates == (0.1, 0.2)
    assert config.pattern == pattern("rmfm")
    assert config == TrainingConfig(rates=(0.1, 0.2), pattern=pattern("rmfm"))


def test_where_it_is_computed_is_no_part_of_the_result() -> None:
    one = TrainingConfig(device="cpu", threads=1, checkpoint_steps=5, checkpoint_seconds=9, tensorboard=True)
    assert one.result_settings() == TrainingConfig(device="auto").result_settings()
    assert TrainingConfig(ema=0.9).result_settings() != TrainingConfig().result_settings()
    assert json.loads(json.dumps(one.result_settings())) == one.result_settings()
