"""Bootstrap intervals of protocols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lacuna.errors import ConfigError
from lacuna.metrics.protocols import score_tables, score_with_intervals


def tables(dialogues: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    truth = pd.DataFrame({"dialogue": np.repeat(np.arange(dialogues), 4), "turn": np.tile(np.arange(4), dialogues)})
    truth["id"] = truth.index.astype(str)
    truth["label"] = generator.choice(["a", "b"], len(truth))
    predicted = np.where(generator.random(len(truth)) < 0.7, truth["label"], "c")
    return pd.DataFrame({"id": truth["id"], "predicted": predicted}), truth


def test_scores_stay_and_lie_within_their_intervals() -> None:
    predictions, truth = tables(20)
    table = score_with_intervals("dynamics", predictions, truth, replicates=50)
    pd.testing.assert_frame_equal(table.drop(columns=["low", "high"]), score_tables("dynamics", predictions, truth))
    state = table.set_index("metric").loc["state_accuracy"]
    assert state["low"] < state["value"] < state["high"]


def test_the_interval_of_the_accuracy_equals_the_bootstrap_of_dialogue_means() -> None:
    predictions, truth = tables(12)
    table = score_with_intervals("classes", predictions, truth, replicates=200, seed=3).set_index("metric")
    right = (predictions["predicted"] == truth["label"]).to_numpy().reshape(12, 4).mean(axis=1)  # (48,) -> (12, 4)
    order = np.argsort(np.arange(12).astype(str))  # units are sorted by name
    weights = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), 200)
    expected = np.quantile(weights @ right[order] / 12, [0.025, 0.975])
    np.testing.assert_allclose(table.loc["accuracy", ["low", "high"]].astype(float), expected)


def test_too_few_dialogues_have_no_interval() -> None:
    table = score_with_intervals("classes", *tables(9), replicates=20)
    assert table[["low", "high"]].isna().all(axis=None)


def test_votes_and_intervals_in_videos_are_resampled_too() -> None:
    votes = pd.DataFrame({"id": np.arange(12), "votes_a": 3, "votes_b": np.arange(12) % 3})
    assert score_with_intervals("humans", votes, replicates=20)["low"].notna().all()
    events = pd.DataFrame({"video": np.arange(12).astype(str), "onset": 0, "offset": 9, "label": list("ab") * 6})
    table = score_with_intervals("micro_expressions", events.iloc[:8], events, replicates=50).set_index("metric")
    assert table.loc["recall", "low"] < 8 / 12 < table.loc["recall", "high"]


def test_replicates_are_at_least_one() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        score_with_intervals("classes", *tables(10), replicates=0)
