"""The protocol in settings."""

from __future__ import annotations

from typing import Any

import pytest

from lacuna.errors import ConfigError
from lacuna.evaluation import EvaluationConfig, PatternSpec
from lacuna.evaluation.conditions import condition_of, setting_of
from lacuna.missing import MaskPlan, list_patterns, pattern

MODALITIES = ("text", "audio", "vision")


def test_default_protocol() -> None:
    plans = EvaluationConfig().plans(MODALITIES)
    assert len(plans) == (11 + 8) * 3 + 7
    assert len(set(plans)) == len(plans)
    conditions = [condition_of(p, 0.0) for p in plans]
    assert len({c.key for c in conditions}) == len(plans)
    fixed = [c for c in conditions if c.pattern == "fixed"]
    assert {c.rate for c in fixed} == {1.0}
    assert len({c.setting for c in fixed}) == 7
    assert {c.rate for c in conditions if c.pattern == "rmfm"} == {k / 10 for k in range(11)}


def test_fixed_takes_chosen_subsets_or_its_own() -> None:
    config = EvaluationConfig(patterns=(PatternSpec("fixed"),), subsets=(("text",), ("vision", "audio")))
    assert [setting_of(p.pattern) for p in config.plans(MODALITIES)] == ["text", "audio+vision"]
    own = EvaluationConfig(patterns=(PatternSpec("fixed", {"available": ["audio"]}, (0.0, 0.5)),), mask_seeds=(3, 4))
    assert [(setting_of(p.pattern), p.rate, p.seed) for p in own.plans(MODALITIES)] == [
        ("audio", 0.0, 3),
        ("audio", 0.5, 3),
        ("audio", 0.5, 4),
    ]
    assert len(EvaluationConfig(patterns=(PatternSpec("fixed"),)).plans(("text",))) == 1


def test_settings_are_empty_for_defaults_and_tell_patterns_apart() -> None:
    for name in list_patterns():
        assert setting_of(pattern(name)) == ("text" if name == "fixed" else "")
    assert setting_of(pattern("outage", burst=5)) == "burst=5.0"
    assert setting_of(pattern("speaker", modalities=["vision", "audio"])) == "modalities=audio+vision"
    assert setting_of(pattern("imbalanced", weights={"text": 1, "audio": 2.5})) == "weights=audio:2.5+text:1.0"


def test_two_settings_of_a_pattern_are_two_curves() -> None:
    config = EvaluationConfig(patterns=(PatternSpec("outage"), PatternSpec("outage", {"burst": 6})), mask_seeds=(0,))
    assert len({condition_of(p, 0).key for p in config.plans(MODALITIES)}) == 22
    with pytest.raises(ConfigError, match="named twice"):
        EvaluationConfig(patterns=(PatternSpec("outage"), PatternSpec("outage", {"burst": 3}))).plans(MODALITIES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rates": (0.0, 0.5, 0.5)}, "rates must rise strictly"),
        ({"rates": (0.5, 0.0)}, "rates must rise strictly"),
        ({"rates": (0.0, 1.2)}, "rates must rise strictly"),
        ({"rates": ()}, "rates must rise strictly"),
        ({"patterns": (PatternSpec("rmm", rates=(0.3, 0.1)),)}, "rates of rmm must rise"),
        ({"patterns": ()}, "patterns is empty"),
        ({"mask_seeds": ()}, "mask_seeds must be different"),
        ({"mask_seeds": (1, 1)}, "mask_seeds must be different"),
        ({"replicates": 1}, "at least 2 replicates"),
        ({"level": 95}, "level between 0 and 1"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(**wrong)


def test_lists_are_taken_as_yaml_gives_them() -> None:
    config = EvaluationConfig(patterns=[PatternSpec("rmm")], rates=[0.0, 1.0], mask_seeds=[0])  # type: ignore[arg-type]
    assert [p.rate for p in config.plans(MODALITIES)] == [0.0, 1.0]
    assert isinstance(config.plans(MODALITIES)[0], MaskPlan)
    with pytest.raises(ConfigError, match="unknown missingness pattern"):
        EvaluationConfig(patterns=(PatternSpec("nope"),)).plans(MODALITIES)
