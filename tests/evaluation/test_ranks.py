"""Ranks and tests over corpora, against numbers worked out by hand and by scipy."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lacuna.evaluation.ranks import Standing, average_ranks, friedman, holm, indistinct_runs, paired_tests, ranks

MODELS = ("a", "b", "c")


def make(points: list[float], spread: float = 0.01, higher: bool = True, corpus: str = "x", seed: int = 0) -> Standing:
    values = np.array(points)[:, None]
    draws = values + np.random.default_rng(seed).normal(size=(400, len(points), 1)) * spread
    return Standing(corpus, "weighted_f1", higher, MODELS[: len(points)], (("rmm", ""),), "auilc", values, draws, 0.2, 0.95, 30)


def test_ranks_share_places_and_know_the_direction() -> None:
    assert ranks(np.array([0.5, 0.7, 0.5, 0.1])).tolist() == [2.5, 1, 2.5, 4]
    assert ranks(np.array([0.5, 0.7, 0.5, 0.1]), higher=False).tolist() == [2.5, 4, 2.5, 1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_ranks_are_those_of_scipy(scores: list[int]) -> None:
    np.testing.assert_array_equal(ranks(-np.array(scores, float)), stats.rankdata(scores))


@settings(max_examples=50)
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=10))
def test_holm_rejects_step_by_step(p: list[float]) -> None:
    corrected = holm(np.array(p))
    for alpha in (0.01, 0.05, 0.3):
        rejected = set[int]()
        for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):  # the definition
            if p[i] * (len(p) - step) >= alpha:
                break
            rejected.add(i)
        assert {i for i, value in enumerate(corrected) if value < alpha} == rejected


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])


def test_average_ranks_by_hand() -> None:
    standings = [
        make([0.9, 0.5, 0.1], corpus="x"),
        make([0.3, 0.9, 0.6], corpus="y"),
        make([3.0, 1.0, 2.0], higher=False, corpus="z"),
    ]
    table = average_ranks(standings, MODELS)
    assert table["model"].tolist() == ["b", "a", "c"]  # a and c share their place
    np.testing.assert_allclose(table["rank"], [(2 + 1 + 1) / 3, (1 + 3 + 3) / 3, (3 + 2 + 2) / 3])
    assert table.loc[0, ["rank:x", "rank:y", "rank:z"]].tolist() == [2, 1, 1]
    assert (table["low"] <= table["rank"]).all()
    assert (table["rank"] <= table["high"]).all()


def test_paired_tests_by_hand() -> None:
    one, other = make([0.5, 0.4], spread=0.05, seed=1), make([0.5, 0.4], spread=0.05, seed=2, corpus="y")
    each = [0.1 / (s.draws[:, 0] - s.draws[:, 1]).mean(axis=1).std(ddof=1) for s in (one, other)]
    row = paired_tests([one, other], ("a", "b")).iloc[0]
    assert row["z"] == pytest.approx(sum(each) / sqrt(2))
    assert row["p_value"] == pytest.approx(2 * stats.norm.sf(row["z"]))
    assert (row["wins"], row["corpora"]) == (2, 2)


def test_a_smaller_error_is_better_and_twins_do_not_differ() -> None:
    assert make([0.5, 0.4, 0.4], higher=False).z("b", "a") > 5
    twin = make([0.5, 0.5])
    twin.draws[:, 1] = twin.draws[:, 0]
    assert twin.z("a", "b") == 0
    assert paired_tests([twin], ("a", "b"))["p_value"].tolist() == [1]


def test_few_dialogues_have_no_test_and_do_not_count_among_the_others() -> None:
    few = replace(make([0.5, 0.4, 0.1]), dialogues=9)
    assert paired_tests([few], MODELS)[["z", "p_value", "p_holm"]].isna().all(axis=None)
    np.testing.assert_allclose(holm(np.array([0.04, np.nan, 0.01])), [0.04, np.nan, 0.02])
    assert average_ranks([few], MODELS)[["low", "high"]].isna().all(axis=None)


def test_runs_hold_neighbours_without_a_significant_difference() -> None:
    order = ["a", "b", "c", "d"]
    p = {("a", "b"): 0.5, ("a", "c"): 0.01, ("a", "d"): 0.01, ("b", "c"): 0.5, ("b", "d"): 0.01, ("c", "d"): 0.01}
    pairs = pd.DataFrame([(x, y, value) for (x, y), value in p.items()], columns=["model_a", "model_b", "p_holm"])
    assert indistinct_runs(order, pairs) == [(0, 1), (1, 2)]
    assert indistinct_runs(order, pairs.assign(p_holm=1.0)) == [(0, 3)]
    assert indistinct_runs(order, pairs.assign(p_holm=0.0)) == []


def test_friedman_is_that_of_scipy_and_its_p_is_exact_for_two_corpora() -> None:
    table = np.array([[1, 2, 3, 4], [1, 3, 2, 4], [2, 1, 3, 4], [1, 2, 4, 3], [1, 2, 3, 4]], float)
    statistic, p = friedman(table)
    expected = stats.friedmanchisquare(*table.T)
    assert statistic == pytest.approx(expected.statistic)
    assert p < 0.02
    assert friedman(np.array([[1.0, 2, 3], [1, 2, 3]]))[1] == pytest.approx(1 / 6, abs=0.02)  # one order in 3! agrees
