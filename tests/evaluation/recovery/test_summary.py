"""Recovery over training seeds, and the points that are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lacuna.corpus.statistics import fit_statistics
from lacuna.evaluation import RecoveryConfig, recovered_points, score_recovery, summarise_recovery
from lacuna.evaluation.recovery.projection import POINT_COLUMNS, principal
from lacuna.evaluation.recovery.summary import SUMMARY
from lacuna.missing import MaskPlan
from lacuna.models import build
from lacuna.synthetic.duet import generate, preset
from lacuna.training.trained import Selection, TrainedRecognizer

WIDTH = 1.959964  # of a normal 95% interval


def measured(values: list[float], half: float = 0.1, measure: str = "cosine") -> pd.DataFrame:
    key = {"corpus": "c", "model": "m", "pattern": "rmm", "setting": "", "rate": 0.5, "mask_seed": 0, "measured_rate": 0.4}
    key |= {"modality": "text", "unit": "utterance", "measure": measure, "n": 10, "dialogues": 10}
    rows = [key | {"seed": i, "value": v, "low": v - half, "high": v + half} for i, v in enumerate(values)]
    return pd.DataFrame(rows)


def test_one_seed_keeps_its_interval() -> None:
    row = summarise_recovery(measured([0.3]).assign(low=0.31)).iloc[0]  # a bootstrap interval need not hold its value
    assert row[["mean", "low", "high", "seeds", "n"]].tolist() == [0.3, 0.31, 0.4, 1, 10]


def test_the_spread_between_seeds_widens_the_interval() -> None:
    row = summarise_recovery(measured([0.2, 0.4, 0.6])).iloc[0]
    half = np.hypot(0.1, WIDTH * 0.2 / 3**0.5)
    assert row[["mean", "low", "high"]].tolist() == pytest.approx([0.4, 0.4 - half, 0.4 + half], rel=1e-5)
    assert row["seeds"] == 3


def test_mask_seeds_are_no_seeds() -> None:
    table = pd.concat([measured([0.3]), measured([0.5]).assign(mask_seed=1)])
    row = summarise_recovery(table).iloc[0]
    assert row[["mean", "low", "high", "seeds"]].tolist() == pytest.approx([0.4, 0.3, 0.5, 1])


@pytest.mark.parametrize("kind", ["", "sample_"])
def test_bands_p_values_and_distances_have_their_own_rules(kind: str) -> None:
    band = summarise_recovery(measured([0.0, 0.4], 0.2, f"{kind}mmd_null")).iloc[0]
    assert band[["mean", "low", "high"]].tolist() == pytest.approx([0.2, 0.0, 0.4])
    p = summarise_recovery(measured([0.01, 0.4], np.nan, f"{kind}mmd_p")).iloc[0]
    assert p["mean"] == 0.4
    assert np.isnan(p["low"])
    assert summarise_recovery(measured([0.1, 0.9], 0.1, f"{kind}mse"))["low"].item() == 0
    assert summarise_recovery(measured([0.1, 0.9], 0.1, f"{kind}cosine"))["low"].item() < 0


def test_what_one_seed_does_not_know_is_not_known() -> None:
    row = summarise_recovery(measured([0.2, np.nan])).iloc[0]
    assert row[["mean", "low", "high"]].isna().all()
    empty = summarise_recovery(measured([]).reindex(columns=measured([0]).columns))
    assert empty.empty
    assert list(empty.columns) == SUMMARY


def test_principal_axes_are_where_vectors_vary_most() -> None:
    r = np.random.default_rng(0)
    vectors = r.normal(size=(300, 4)) * [0.1, 5.0, 0.1, 2.0] + 3
    middle, axes, explained = principal(vectors)
    np.testing.assert_allclose(middle, vectors.mean(axis=0))
    np.testing.assert_allclose(np.abs(axes[[1, 3], [0, 1]]), 1, atol=0.01)
    assert explained > 0.99
    _, axes, _ = principal(vectors[:, :1])
    np.testing.assert_array_equal(axes, [[1.0, 0.0]])
    assert np.isnan(principal(np.zeros((1, 3)))[2])


def test_points_are_few_the_same_for_all_and_of_the_first_seed() -> None:
    corpus = generate(preset("tiny", dialogues=40))
    statistics, selection = fit_statistics(corpus), Selection("weighted_f1", 0, 0, 1, "rmm", 0, 0)
    models = [build("knn", corpus.schema()), build("ridge", corpus.schema())]
    able = [TrainedRecognizer(m.name, seed, corpus.name, m.eval(), statistics, selection) for m in models for seed in (3, 1)]
    test, plan = corpus.only("test"), MaskPlan("rmm", 0.5)
    table = recovered_points(able, test, plan, most=15)
    assert list(table.columns) == POINT_COLUMNS
    assert set(table["model"]) == {"knn", "ridge", "oracle"}
    assert set(table.loc[table["model"] != "oracle", "seed"]) == {1}
    assert table.groupby(["model", "modality"]).size().max() == 15
    true = [own[["true_x", "true_y"]].to_numpy() for _, own in table.groupby("model")]
    np.testing.assert_array_equal(true[0], true[1])
    pd.testing.assert_frame_equal(table, recovered_points(able, test, plan, most=15, batch_size=7), rtol=1e-4, atol=1e-5)
    assert recovered_points(able, test, MaskPlan("rmm", 0.0)).empty
    assert recovered_points([], test, plan).empty
    table = score_recovery(able[:1], test, [plan], RecoveryConfig(replicates=10, permutations=10))
    wide = table.pivot_table(index=["model", "modality"], columns="measure", values="value")
    fill = wide["mse"].xs("mean fill")
    np.testing.assert_allclose(wide["gain"].xs("oracle"), 1 - wide["mse"].xs("oracle") / fill)
    assert (wide["gain"].xs("mean fill") == 0).all()
