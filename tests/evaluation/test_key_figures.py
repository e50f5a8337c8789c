"""A run's result in a few numbers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from lacuna.corpus.schema import Target
from lacuna.evaluation import brief, learning_table, robustness_table
from lacuna.pipelines.evaluate.nodes import brief_results


def summary() -> pd.DataFrame:
    def row(model: str, pattern: str, rate: float, mean: float, metric: str = "weighted_f1") -> dict[str, Any]:
        known = {"corpus": "c", "setting": "", "low": mean - 0.1, "high": mean + 0.1, "constant": 0.2}
        return {"model": model, "pattern": pattern, "rate": rate, "mean": mean, "metric": metric, **known}

    rows = [row(m, p, r, v - r / 2) for m, v in (("mlp", 0.7), ("oracle", 0.9)) for p in ("rmm", "outage") for r in (0.0, 1.0)]
    rows += [row("mlp", "fixed", 1.0, 0.5), row("oracle (one turn)", "rmm", 0.0, 0.8), row("mlp", "rmm", 0.0, 0.1, "ece")]
    return pd.DataFrame(rows)


def areas() -> pd.DataFrame:
    columns = ["model", "pattern", "setting", "metric", "measure", "mean", "low", "high"]
    rows = [
        ("mlp", "rmm", "", "weighted_f1", "auilc", 0.45, 0.4, float("nan")),
        ("mlp", "rmm", "", "weighted_f1", "relative_robustness", 0.3, 0.2, 0.4),
        ("mlp", "imbalanced", "text .2", "weighted_f1", "auilc", 0.44, 0.4, 0.5),
        ("mlp", "fixed", "", "weighted_f1", "subset_mean", 0.1234567, 0.1, 0.2),
        ("mlp", "rmm", "", "ece", "auilc", 0.1, 0.0, 0.2),
        ("oracle (one turn)", "rmm", "", "weighted_f1", "auilc", 0.6, 0.5, 0.7),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_the_main_metric_of_every_model_and_of_the_chosen_one() -> None:
    told = brief(summary(), areas(), "weighted_f1", "mlp")
    own = {"complete": 0.7, "rmm": 0.45, "rmm_low": 0.4}
    own |= {"imbalanced_text_.2": 0.44, "imbalanced_text_.2_low": 0.4, "imbalanced_text_.2_high": 0.5}
    own |= {"fixed": 0.123457, "fixed_low": 0.1, "fixed_high": 0.2}
    assert told == {
        "chosen": {"model": "mlp", **own},
        "constant": 0.2,
        "weighted_f1": {"mlp": own, "oracle": {"complete": 0.9}},
    }
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("own", "chosen"),
    [
        ({}, "b"),
        ({"learning_rate": 1.0, "rates": [0.5]}, "b"),  # selection does not depend on it
        ({"pattern": "outage"}, None),
        ({"valid_rates": [0.9]}, None),
        ({"valid_mask_seeds": [7]}, None),
    ],
)
def test_validation_chooses_among_models_that_it_judged_alike(own: dict[str, Any], chosen: str | None) -> None:
    """A metric under other masks is another metric."""

    def trained(label: str, value: float, **changes: Any) -> Any:
        training = {"pattern": "rmm", "valid_rates": [0.0, 0.5], "valid_mask_seeds": [0]} | changes
        schema = SimpleNamespace(target=Target("emotion", "classification", ("a", "b")))
        return SimpleNamespace(variant=label, schema=schema, selection=SimpleNamespace(value=value, training=training))

    both = summary().replace({"model": {"mlp": "a", "oracle": "b"}})
    history = pd.DataFrame({"epoch": [0], "valid_loss": [1.0], "model": ["a"], "seed": [0]})
    told, _, _ = brief_results(both, areas(), history, [trained("a", 0.5), trained("b", 0.9, **own)])
    assert told.get("chosen", {}).get("model") == chosen
    assert set(told["weighted_f1"]) == {"a", "b"}


def test_curves_hold_one_metric_and_learning_curves_no_times() -> None:
    table = robustness_table(summary(), "weighted_f1")
    assert set(table["pattern"]) == {"rmm", "outage"}
    assert table.loc[(table["model"] == "mlp") & (table["pattern"] == "rmm"), "mean"].tolist() == [0.7, 0.2]
    history = pd.DataFrame(
        {"epoch": [0], "weighted_f1": [0.5], "valid_loss": [1.0], "seconds": [3.2], "model": ["m"], "seed": [0]}
    )
    assert learning_table(history).columns.tolist() == ["model", "seed", "epoch", "valid_loss", "weighted_f1"]
