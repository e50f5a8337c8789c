"""Protocols ``classes``, ``mer``, ``multi_label``, ``all_inclusive``, ``preference`` and ``mvei``."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from lacuna.errors import DataError
from lacuna.metrics.protocols import score_tables


def values(name: str, predictions: dict, truth: dict | None = None, **options: object) -> dict[str, float]:
    """Return metric -> value of the subset ``all``."""
    table = score_tables(name, pd.DataFrame(predictions), None if truth is None else pd.DataFrame(truth), **options)
    return dict(zip(table["metric"][table["subset"] == "all"], table["value"][table["subset"] == "all"], strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_classes_equal_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true, predicted = generator.choice(list("abcd"), 40), generator.choice(list("abc"), 40)
    ids = np.arange(40).astype(str)
    got = values("classes", {"id": ids, "predicted": predicted}, {"id": ids, "label": true})
    assert got["weighted_f1"] == pytest.approx(f1_score(true, predicted, average="weighted"))
    assert got["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert got["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert got["unweighted_accuracy"] == pytest.approx(balanced_accuracy_score(true, predicted))


def test_empty_and_unknown_predictions_are_errors_but_no_classes() -> None:
    truth = {"id": list("1234"), "label": ["a", "a", "b", "b"]}
    got = values("classes", {"id": list("1234"), "predicted": ["a", None, "banana", "b"]}, truth)
    assert got["accuracy"] == 0.5
    assert got["macro_f1"] == pytest.approx(2 / 3)  # a: 2 / (2 + 1), b: likewise; no third class
    assert got["answered"] == 0.75


def test_one_class_everywhere_is_perfect() -> None:
    got = values("classes", {"id": ["1", "2"], "predicted": ["a", "a"]}, {"id": ["1", "2"], "label": ["a", "a"]})
    assert got["weighted_f1"] == got["macro_f1"] == got["unweighted_accuracy"] == 1


def test_nothing_labelled_is_not_defined() -> None:
    got = values("classes", {"id": ["1"], "predicted": ["a"]}, {"id": ["1"], "label": [""]})
    assert all(math.isnan(value) for value in got.values())


def test_mer_is_f1_minus_a_quarter_of_the_squared_error() -> None:
    predictions = {"id": ["1", "2"], "predicted": ["a", "b"], "valence": [1.0, 3.0]}
    got = values("mer", predictions, {"id": ["1", "2"], "label": ["a", "b"], "valence": [0.0, 1.0]})
    assert got == {"combined": 1 - 0.25 * 2.5, "weighted_f1": 1.0, "valence_mse": 2.5}


def test_mer_without_a_predicted_valence_is_not_defined() -> None:
    got = values("mer", {"id": ["1"], "predicted": ["a"], "valence": [""]}, {"id": ["1"], "label": ["a"], "valence": ["2"]})
    assert math.isnan(got["combined"])
    assert got["weighted_f1"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_multi_label_equals_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true, predicted = (generator.random((2, 30, 4)) < 0.4).astype(int)
    names = np.array(list("abcd"))
    sets = [[";".join(names[row > 0]) for row in side] for side in (true, predicted)]
    ids = np.arange(30).astype(str)
    got = values("multi_label", {"id": ids, "labels": sets[1]}, {"id": ids, "labels": sets[0]})
    assert got["micro_f1"] == pytest.approx(f1_score(true, predicted, average="micro"))
    assert got["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert got["example_f1"] == pytest.approx(f1_score(true, predicted, average="samples", zero_division=1.0))
    assert got["exact_match"] == pytest.approx(accuracy_score(true, predicted))


def test_two_empty_sets_agree_and_one_empty_set_scores_nothing() -> None:
    got = values("multi_label", {"id": list("123"), "labels": ["", "a", ""]}, {"id": list("123"), "labels": ["", "", "a"]})
    assert got["precision"] == got["recall"] == got["jaccard"] == pytest.approx(1 / 3)
    assert got["micro_f1"] == 0


def test_all_inclusive_labels_are_shares_above_uniform() -> None:
    truth = {"id": ["1", "2"], "votes_a": [4, 1], "votes_b": [1, 1], "votes_c": [4, 1]}  # {a, c} and, uniform, {}
    predictions = {"id": ["1", "2"], "p_a": [0.5, 0.2], "p_b": [0.4, 0.3], "p_c": [0.1, 0.5]}  # {a, b} and {c}
    got = values("all_inclusive", predictions, truth)
    assert got["macro_f1"] == pytest.approx((1 + 0 + 0) / 3)
    assert got["micro_f1"] == pytest.approx(2 * 1 / (2 + 3))


def test_all_inclusive_refuses_other_classes_and_samples_without_votes() -> None:
    with pytest.raises(DataError, match="different classes"):
        values("all_inclusive", {"id": ["1"], "p_a": [1.0]}, {"id": ["1"], "votes_b": [1]})
    with pytest.raises(DataError, match="no vote"):
        values("all_inclusive", {"id": ["1"], "p_a": [1.0]}, {"id": ["1"], "votes_a": [0]})


def test_preference_gives_half_for_a_predicted_tie_and_leaves_true_ties_out() -> None:
    truth = {"id": list("12345"), "label": ["a", "b", "a", "tie", "b"]}
    got = values("preference", {"id": list("12345"), "predicted": ["a", "a", "tie", "a", ""]}, truth)
    assert got["accuracy"] == (1 + 0 + 0.5 + 0) / 4
    assert got["decided"] == 2 / 4
    assert got["true_ties"] == 1 / 5
    assert got["macro_f1"] == pytest.approx((2 * 1 / (2 + 2) + 0) / 2)


def test_statements_are_scored_by_dimension() -> None:
    truth = pd.DataFrame({"id": list("1234"), "label": ["true", "false", "true", "true"], "dimension": list("ppcc")})
    predictions = pd.DataFrame({"id": list("1234"), "predicted": ["Yes.", "true", "true", "perhaps"]})
    table = score_tables("mvei", predictions, truth).set_index(["subset", "metric"])["value"]
    assert table["p", "accuracy"] == 0.5
    assert table["c", "accuracy"] == 0.5
    assert table["all", "mean_accuracy"] == 0.5
    with pytest.raises(DataError, match="no truth value"):
        values("mvei", {"id": ["1"], "predicted": ["yes"]}, {"id": ["1"], "label": ["perhaps"]})
