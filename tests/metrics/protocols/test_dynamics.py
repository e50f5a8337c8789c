"""Emotion dynamics: values by hand, and a brute-force count of transitions."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import ConfigError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.dynamics import edit_similarity, transition_f1

STATES = st.lists(st.sampled_from("abc"), max_size=6)


def tables(truth: dict[str, str], predicted: dict[str, str], following: dict[str, str] | None = None) -> list[pd.DataFrame]:
    """Return predictions and truth of dialogues, a letter a turn; ``-`` is empty."""
    rows = [(f"{d}{t}", d, t, label) for d, states in truth.items() for t, label in enumerate(states)]
    true = pd.DataFrame(rows, columns=["id", "dialogue", "turn", "label"]).replace("-", "")
    answers = pd.DataFrame({"id": true["id"], "predicted": [p for states in predicted.values() for p in states]}).replace("-", "")
    if following is not None:
        answers["next"] = [p for states in following.values() for p in states]
    return [answers, true]


def scores(*arguments: pd.DataFrame, subset: str = "all", **options: object) -> dict[str, float]:
    table = score_tables("dynamics", *arguments, **options)
    table = table[table["subset"] == subset]
    return dict(zip(table["metric"], table["value"], strict=True))


def test_values_by_hand() -> None:
    got = scores(*tables({"d": "aab", "e": "aa"}, {"d": "aab", "e": "ab"}, {"d": "abb", "e": "ba"}))
    assert got["change_accuracy"] == 0.5  # d changes in both, e only in the prediction
    assert got["change_f1"] == pytest.approx(2 / 3)
    assert got["state_accuracy"] == 0.8
    assert got["state_exact_match"] == 0.5
    assert got["state_edit_similarity"] == (1 + 0.5) / 2
    assert got["transition_macro_f1"] == pytest.approx(2 / 3)  # a>b: one hit, one false alarm
    assert got["next_accuracy"] == pytest.approx(2 / 3)  # d: a, b for a, b; e: b for a
    assert got["persistence_accuracy"] == pytest.approx(2 / 3)  # d: a, a for a, b; e: a for a
    assert got["next_gain"] == pytest.approx(0)
    assert got["overall"] == pytest.approx(np.mean([0.5, 0.8, 2 / 3, 2 / 3]))


def test_a_perfect_prediction_scores_one() -> None:
    got = scores(*tables({"d": "abca"}, {"d": "abca"}, {"d": "bcab"}))
    assert got["overall"] == 1
    assert got["next_gain"] == 1  # nothing repeats, so persistence is always wrong


def test_without_any_change_transitions_are_not_defined() -> None:
    got = scores(*tables({"d": "aaa"}, {"d": "aaa"}))
    assert math.isnan(got["transition_macro_f1"])
    assert math.isnan(got["change_f1"])
    assert got["change_accuracy"] == 1
    assert "overall" not in got  # there is no column next


def test_an_empty_prediction_is_a_wrong_state_and_no_change() -> None:
    got = scores(*tables({"d": "aab"}, {"d": "a-a"}))
    assert got["state_accuracy"] == pytest.approx(1 / 3)
    assert got["change_accuracy"] == 0
    assert got["transition_macro_f1"] == 0


def test_unlabelled_turns_are_left_out_and_turns_are_sorted() -> None:
    predictions, truth = tables({"d": "a-b"}, {"d": "acb"})
    got = scores(predictions, truth.iloc[::-1])
    assert got["state_accuracy"] == 1
    assert got["transition_macro_f1"] == 1


def test_slices_by_number_of_speakers() -> None:
    predictions, truth = tables({"d": "ab", "e": "ab"}, {"d": "ab", "e": "aa"})
    truth["speaker"] = ["x", "x", "x", "y"]
    assert scores(predictions, truth, subset="single-party")["state_accuracy"] == 1
    assert scores(predictions, truth, subset="multi-party")["state_accuracy"] == 0.5


def test_sequences_of_speakers_do_not_cross() -> None:
    predictions, truth = tables({"d": "abab"}, {"d": "abab"})
    truth["speaker"] = ["x", "y", "x", "y"]
    assert scores(predictions, truth)["change_f1"] == 1
    assert math.isnan(scores(predictions, truth, sequence="speaker")["change_f1"])  # each speaker stays the same
    with pytest.raises(ConfigError, match="sequence"):
        scores(*tables({"d": "ab"}, {"d": "ab"}), sequence="speaker")


@given(STATES, STATES)
def test_edit_similarity_equals_a_recursion(first: list[str], second: list[str]) -> None:
    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        swap = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, swap)

    longest = max(len(first), len(second))
    expected = 1 - distance(len(first), len(second)) / longest if longest else 1
    assert edit_similarity(first, second) == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=8))
def test_transition_f1_equals_a_count_of_each_pair(turns: list[tuple[str, str]]) -> None:
    true, predicted = [t for t, _ in turns], [p for _, p in turns]
    by_pair = []
    for a in "abc":
        for b in "abc":
            if a == b:
                continue
            is_true = [true[i] == a and true[i + 1] == b for i in range(len(turns) - 1)]
            is_predicted = [predicted[i] == a and predicted[i + 1] == b for i in range(len(turns) - 1)]
            total = sum(is_true) + sum(is_predicted)
            if total:
                by_pair.append(2 * sum(t and p for t, p in zip(is_true, is_predicted, strict=True)) / total)
    value, _ = transition_f1([true], [predicted])
    assert value == pytest.approx(np.mean(by_pair)) if by_pair else math.isnan(value)
