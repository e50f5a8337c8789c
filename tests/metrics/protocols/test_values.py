"""Protocols ``msp_podcast``, ``affwild2_va``, ``music_va``, ``compound`` and ``conflict``."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, r2_score

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.attributes import concordance
from lacuna.metrics.protocols.compound import BASIC, COMPOUND, pair_scores, window_average

ATTRIBUTES = ("arousal", "dominance", "valence")


def direct_ccc(y: np.ndarray, p: np.ndarray) -> float:
    covariance = ((y - y.mean()) * (p - p.mean())).mean()
    return float(2 * covariance / (y.var() + p.var() + (y.mean() - p.mean()) ** 2))


def attribute_tables(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(seed)
    truth = pd.DataFrame(generator.uniform(-1, 1, (30, 3)), columns=list(ATTRIBUTES))
    predictions = truth + generator.normal(0, 0.5, truth.shape)
    ids = np.arange(30).astype(str)
    return predictions.assign(id=ids), truth.assign(id=ids)


@pytest.mark.parametrize(("name", "used"), [("msp_podcast", ATTRIBUTES), ("affwild2_va", ("valence", "arousal"))])
def test_mean_ccc_equals_the_formula(name: str, used: tuple[str, ...]) -> None:
    predictions, truth = attribute_tables(0)
    got = score_tables(name, predictions, truth).set_index("metric")["value"]
    expected = [direct_ccc(truth[a].to_numpy(), predictions[a].to_numpy()) for a in used]
    assert got["mean_ccc"] == pytest.approx(np.mean(expected))
    assert [got[f"ccc_{a}"] for a in used] == pytest.approx(expected)


def test_frames_without_annotation_are_left_out() -> None:
    predictions, truth = attribute_tables(1)
    truth.loc[:9, "valence"] = -5
    got = score_tables("affwild2_va", predictions, truth).set_index("metric")
    assert got["n"]["ccc_valence"] == 20
    assert got["value"]["ccc_valence"] == pytest.approx(
        direct_ccc(truth["valence"][10:].to_numpy(), predictions["valence"][10:].to_numpy())
    )


def test_a_constant_prediction_has_ccc_0_and_a_missing_one_is_refused() -> None:
    assert concordance(np.array([1.0, 2.0]), np.array([3.0, 3.0])) == 0
    predictions, truth = attribute_tables(2)
    predictions.loc[3, "valence"] = np.nan
    with pytest.raises(DataError, match="utterance '3'"):
        score_tables("msp_podcast", predictions, truth)


def test_music_equals_other_libraries() -> None:
    predictions, truth = attribute_tables(3)
    got = score_tables("music_va", predictions, truth).set_index(["subset", "metric"])["value"]
    y, p = truth["valence"], predictions["valence"]
    assert got["valence", "r2"] == pytest.approx(r2_score(y, p))
    assert got["valence", "rmse"] == pytest.approx(math.sqrt(((y - p) ** 2).mean()))
    assert got["valence", "pearson"] == pytest.approx(np.corrcoef(y, p)[0, 1])


def test_r2_without_variation_of_the_labels_is_not_defined() -> None:
    predictions, truth = attribute_tables(4)
    truth["valence"] = 0.5
    got = score_tables("music_va", predictions, truth).set_index(["subset", "metric"])["value"]
    assert math.isnan(got["valence", "r2"])
    assert got["valence", "pearson"] == 0


def test_pairs_are_those_of_the_source() -> None:
    assert [tuple(BASIC.index(part) for part in pair) for pair in COMPOUND.values()] == [
        (3, 6), (4, 6), (5, 6), (2, 6), (1, 6), (5, 3), (5, 1)
    ]  # fmt: skip


def test_ppa_equals_a_loop_and_halving_changes_no_decision() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(8), 20)
    expected = [[row[BASIC.index(a)] + row[BASIC.index(b)] for a, b in COMPOUND.values()] for row in p]
    np.testing.assert_allclose(pair_scores(p), expected)
    assert (pair_scores(p / 2).argmax(1) == pair_scores(p).argmax(1)).all()


@pytest.mark.parametrize(("mapping", "prefix"), [("ppa", "p_"), ("pfsa", "cos_")])
def test_compound_macro_f1_divides_by_seven(mapping: str, prefix: str) -> None:
    generator = np.random.default_rng(1)
    p = generator.dirichlet(np.ones(8), 40)
    names = list(COMPOUND)
    predictions = pd.DataFrame(p, columns=[f"{prefix}{name}" for name in BASIC]).assign(id=np.arange(40))
    truth = pd.DataFrame({"id": np.arange(40), "label": generator.choice(names[:4], 40)})
    got = score_tables("compound", predictions, truth, mapping=mapping).set_index("metric")["value"]
    predicted = [names[c] for c in pair_scores(p).argmax(1)]
    assert got["macro_f1"] == pytest.approx(f1_score(truth["label"], predicted, labels=names, average="macro", zero_division=0.0))


def test_of_equal_scores_the_first_class_wins() -> None:
    predictions = pd.DataFrame({f"p_{name}": [0.125] for name in BASIC}).assign(id="1")
    got = score_tables("compound", predictions, pd.DataFrame({"id": ["1"], "label": ["Fearfully Surprised"]}))
    assert got.set_index("metric")["value"]["accuracy"] == 1


def test_windows_equal_a_loop() -> None:
    generator = np.random.default_rng(2)
    times, values = np.sort(generator.uniform(0, 15, 40)), generator.random((40, 3))
    expected = np.zeros_like(values)
    for i, time in enumerate(times):
        means = []
        for k in itertools.count():
            start = times[0] + 2 * k
            if start > times[-1]:
                break
            if start <= time < start + 4:
                means.append(values[[start <= t < start + 4 for t in times]].mean(0))
        expected[i] = np.mean(means, axis=0)
    np.testing.assert_allclose(window_average(values, times), expected)
    with pytest.raises(ConfigError, match="step of windows"):
        window_average(values, times, window=1, step=2)


CONFLICT_TRUTH = pd.DataFrame(
    {
        "id": list("12345678"),
        "label": ["a", "a", "a", "a", "b", "b", "a", "a"],
        "label_voice": ["a", "a", "a", "a", "a", "a", "b", ""],
        "label_face": ["a", "a", "b", "b", "b", "b", "b", "a"],
    }
)


def conflict(predicted: list[str]) -> pd.Series:
    predictions = pd.DataFrame({"id": list("12345678"), "predicted": predicted})
    table = score_tables("conflict", predictions, CONFLICT_TRUTH, modalities="voice+face")
    return table.set_index(["subset", "metric"])["value"]


def test_a_system_that_copies_the_voice_is_biased_to_it() -> None:
    got = conflict(list(CONFLICT_TRUTH["label_voice"]))
    assert got["consistent", "accuracy"] == got["voice-aligned", "accuracy"] == 1
    assert got["face-aligned", "accuracy"] == got["neither", "accuracy"] == 0
    assert got["all", "bias"] == 1
    assert got["all", "conflict_gap"] == 0.5
    assert got["all", "harmonic_mean"] == 0


def test_conflict_values_by_hand() -> None:
    got = conflict(["a", "a", "a", "b", "b", "b", "b", "a"])
    assert got["all", "bias"] == 0.5 - 1
    assert got["all", "conflict_gap"] == 1 - 0.75
    assert got["all", "harmonic_mean"] == pytest.approx(3 / (1 + 2 + 1))


def test_an_empty_subset_makes_summaries_undefined() -> None:
    truth = CONFLICT_TRUTH.iloc[:2]
    predictions = pd.DataFrame({"id": ["1", "2"], "predicted": "a"})
    got = score_tables("conflict", predictions, truth, modalities="voice+face").set_index(["subset", "metric"])["value"]
    assert math.isnan(got["all", "harmonic_mean"])
    with pytest.raises(ConfigError, match="there are: voice, face"):
        score_tables("conflict", predictions, truth)
