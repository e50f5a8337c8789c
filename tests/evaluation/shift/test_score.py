"""Recognisers on several tests: what is shared is drawn together, and every table says against what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lacuna.corpus import Corpus, Target
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import sweep
from lacuna.evaluation.probabilities import sureness_table
from lacuna.evaluation.replicates import Bootstrap, ModelDraws, Setting
from lacuna.evaluation.shift.gaps import gaps
from lacuna.evaluation.shift.resample import dialogue_rows, joint_weights
from lacuna.evaluation.shift.score import ShiftConfig, ShiftTables, ShiftTest, answers, score_shifts
from lacuna.metrics.detection import auroc, outlyingness, wins
from lacuna.metrics.scores import metric as named
from lacuna.missing import MaskPlan
from lacuna.shift import PARTS, RepartitionConfig, corruption, only_part, repartition, repartitioned
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit
from standin import StandIn, generate

PLANS = [MaskPlan("rmm", rate, seed) for rate in (0.0, 0.4) for seed in (0, 1)]
QUICK = ShiftConfig(replicates=200, least_group=5)


@pytest.fixture(scope="module")
def dealt() -> tuple[Corpus, np.ndarray]:
    corpus = generate(StandIn(dialogues=60, turns=6, classes=("calm", "happy"), signal=(1.5, 1.0, 0.5)))
    made = repartition(corpus, RepartitionConfig(kind="random", unit="utterance", pool="test", size=16, random_splits=2))
    after = repartitioned(corpus, made)
    return after, made.codes(after.only("test"))


@pytest.fixture(scope="module")
def recognizers(dealt: tuple[Corpus, np.ndarray]) -> list[TrainedRecognizer]:
    corpus, config = dealt[0], TrainingConfig(epochs=3, learning_rate=0.01)
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    return [fit(Recipe(name, corpus.schema(), *parts, config, seed=s)).trained for name in ("prior", "mlp") for s in (0, 1)]


@pytest.fixture(scope="module")
def scored(dealt: tuple[Corpus, np.ndarray], recognizers: list[TrainedRecognizer]) -> ShiftTables:
    corpus, codes = dealt
    test, labels = corpus.only("test"), corpus.only("train").utterances.labels["emotion"]
    iid = only_part(test, codes, "iid")
    tests = [
        ShiftTest("iid", iid),
        ShiftTest("ood", only_part(test, codes, "ood")),
        ShiftTest("same", iid, corruption("noise", severity=0)),
        ShiftTest("noise", iid, corruption("noise", severity=50.0)),
        ShiftTest("elsewhere", generate(StandIn(dialogues=12, turns=4, classes=("calm", "happy"), seed=5), name="elsewhere")),
    ]
    return score_shifts(recognizers, tests, PLANS, training_labels=labels, config=QUICK)


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_part_scores_as_the_sweep_does(dealt, recognizers, scored) -> None:
    corpus, codes = dealt
    labels = corpus.only("train").utterances.labels["emotion"]
    for part in ("iid", "ood"):
        view = only_part(corpus.only("test"), codes, part)
        own = [sweep(r, view, PLANS, training_labels=labels).scores() for r in recognizers if r.variant == "mlp"]
        expected = pd.concat(own).query("metric == 'accuracy' and rate == 0.4")["value"].mean()
        found = one(scored.summary, test=part, model="mlp", metric="accuracy", rate=0.4)
        assert found["mean"] == pytest.approx(expected)
        assert found["n"] == 16 == (codes == PARTS.index(part)).sum()


def test_prediction_sets_of_a_part_are_those_of_the_sweep(dealt, recognizers, scored) -> None:
    corpus, codes = dealt
    labels = corpus.only("train").utterances.labels["emotion"]
    view = only_part(corpus.only("test"), codes, "ood")
    sweeps = [sweep(r, view, PLANS, training_labels=labels) for r in recognizers if r.variant == "mlp"]
    expected = sureness_table(sweeps).groupby("available")[["n", "covered", "size"]].sum()
    found = scored.sets.query("test == 'ood' and model == 'mlp'").set_index("available")[["n", "covered", "size"]]
    pd.testing.assert_frame_equal(found.sort_index(), expected.sort_index(), check_like=True)
    assert found["n"].sum() == 16 * len(PLANS) * len(sweeps)
    same = scored.sets.assign(test=scored.sets["test"].replace("same", "iid")).query("test == 'iid'")
    assert same.duplicated(keep=False).all()  # noise of severity 0 changes nothing


def test_every_test_has_the_baseline_and_calibration(scored) -> None:
    assert set(scored.summary["metric"]) >= {"weighted_f1", "ece", "brier", "log_loss"}
    for _, rows in scored.summary[scored.summary["model"] == "prior"].groupby(["test", "metric"]):
        np.testing.assert_allclose(rows["mean"], rows["constant"], atol=1e-6)  # that is what the prior answers
    brier = one(scored.summary, test="iid", model="mlp", metric="brier", rate=0.0)
    assert 0 <= brier["mean"] <= 2


def test_gaps_are_iid_less_test_and_positive_is_worse(scored) -> None:
    for metric, sign in (("accuracy", 1), ("log_loss", -1)):
        a, b = (one(scored.summary, test=t, model="mlp", metric=metric, rate=0.0)["mean"] for t in ("iid", "noise"))
        gap = one(scored.gaps, test="noise", model="mlp", metric=metric, rate=0.0)
        assert gap["gap"] == pytest.approx(sign * (a - b))
    assert one(scored.gaps, test="noise", model="mlp", metric="log_loss", measure="auilc")["low"] > 0  # 50 sd of noise
    flat = scored.gaps[(scored.gaps["model"] == "prior") & (scored.gaps["test"] == "ood")]
    np.testing.assert_allclose(flat["gap"], flat["constant_gap"], atol=1e-6)


def test_equal_tests_have_no_gap_in_any_replicate(scored) -> None:
    """They share every dialogue, so both are drawn together and everything cancels."""
    same = scored.gaps[scored.gaps["test"] == "same"]
    assert (same[["gap", "low", "high"]].to_numpy() == 0).all()
    apart = one(scored.gaps, test="elsewhere", model="mlp", metric="accuracy", measure="auilc")
    assert apart["low"] < apart["gap"] < apart["high"]


def test_the_bias_of_resampled_calibration_errors_is_taken_off_a_gap() -> None:
    """Of two perfectly calibrated tests the smaller measures the larger error, and its resamples err twice as much."""
    noise = np.random.default_rng(0).normal(0, 0.02, (2, 400, 1, 1))
    setting = Setting("rmm", "", 0.0, 0.0, 1)
    target = Target("mood", "classification", ("low", "high"))
    metrics = named(target, "accuracy"), named(target, "ece")

    def drawn(error: float, noise: np.ndarray) -> Bootstrap:
        draws = np.concatenate([0.7 + noise, 2 * error + noise], axis=2)
        points = np.array([[[0.7, error]]])
        model = ModelDraws((0,), points, draws)
        return Bootstrap("x", target, metrics, (setting,), {"m": model}, points[0, 0], draws[:, 0], round(10 / error), 50)

    small, large = drawn(0.20, noise[0]), drawn(0.05, noise[1])
    for tests, gap in (({"iid": large, "x": small}, 0.15), ({"iid": small, "x": large}, -0.15)):
        found = one(gaps(tests, "iid"), metric="ece")
        assert found["gap"] == pytest.approx(gap)
        assert found["low"] < 0 < found["high"]  # percentiles of the replicates lie beside 0.3
        assert found["constant_low"] < 0 < found["constant_high"]
        assert found["p_value"] > 0.05
    plain = one(gaps({"iid": small, "x": large}, "iid"), metric="accuracy")
    assert plain["low"] == pytest.approx(np.quantile(noise[0] - noise[1], 0.025))


def test_detection_is_the_auroc_of_single_utterances(dealt, recognizers, scored) -> None:
    corpus, codes = dealt
    test = corpus.only("test")
    noisy = corruption("noise", severity=50.0)
    inside = np.flatnonzero(codes == PARTS.index("iid"))
    expected = []
    for trained in (r for r in recognizers if r.variant == "mlp"):
        for index in (2, 3):  # rate 0.4
            clean, other = (answers(trained, test, PLANS, how).logits[index, inside] for how in (None, noisy))
            scores = np.concatenate([outlyingness(clean)["energy"], outlyingness(other)["energy"]])
            expected.append(roc_auc_score([0] * len(inside) + [1] * len(inside), scores))
    found = one(scored.detection, test="noise", model="mlp", score="energy", rate=0.4)
    assert found["auroc"] == pytest.approx(np.mean(expected))
    assert found["low"] <= found["auroc"] <= found["high"]
    assert (scored.detection.query("model == 'prior'")["auroc"] == 0.5).all()  # it says the same of everything
    assert (scored.detection.query("test == 'same'")["auroc"] == 0.5).all()


def test_weighted_wins_are_the_auroc_of_repeated_dialogues() -> None:
    r = np.random.default_rng(0)
    a, b = r.integers(0, 4, 30).astype(float), r.integers(1, 5, 20).astype(float)  # many ties
    rows, columns = r.integers(0, 6, 30), r.integers(0, 5, 20)
    won = wins(a, rows, b, columns, (6, 5))
    w, v = r.integers(0, 3, 6).astype(float), r.integers(0, 3, 5).astype(float)
    sizes = np.bincount(rows, minlength=6).astype(float), np.bincount(columns, minlength=5).astype(float)
    found = auroc(won, np.stack([w, sizes[0]]), np.stack([v, sizes[1]]))
    repeated = np.repeat(a, w[rows].astype(int)), np.repeat(b, v[columns].astype(int))
    truth = [0] * len(repeated[0]) + [1] * len(repeated[1])
    assert found == pytest.approx(roc_auc_score(truth, np.concatenate(repeated)))


def test_the_worst_group_is_the_least_of_those_large_enough(dealt, recognizers, scored) -> None:
    recall = scored.groups.query("test == 'elsewhere' and model == 'mlp' and by == 'class' and rate == 0.0").iloc[0]
    assert recall["groups"] == 2
    assert recall["accuracy"] <= recall["overall"]
    assert scored.groups["n"].min() >= 5
    assert set(scored.groups.query("test == 'iid'")["by"]) >= {"class", "speaker"}


def test_shared_dialogues_are_drawn_together_and_sizes_stay() -> None:
    rows = {"a": ["x", "y", "z"], "b": ["z", "y", "x", "only"], "c": ["far", "away", "too"]}
    drawn = joint_weights(rows, 50, 0)
    np.testing.assert_array_equal(drawn["a"], drawn["b"][:, [2, 1, 0]])
    assert {tuple(w.sum(axis=1)) for w in (drawn["a"], drawn["c"])} == {(3.0,) * 50}
    assert (drawn["b"].sum(axis=1) == 4).all()
    assert not np.array_equal(drawn["a"], drawn["c"])
    again = joint_weights(rows, 50, 0)
    assert all(np.array_equal(again[t], drawn[t]) for t in rows)


def test_groups_of_many_dialogues_are_shared_only_by_the_same_dialogues(dealt) -> None:
    corpus = dealt[0]
    target = corpus.targets[0]
    whole = dialogue_rows(corpus, target, groups=4)
    assert len(whole) == 4
    assert whole == dialogue_rows(corpus, target, groups=4)
    assert not set(whole) & set(dialogue_rows(corpus.only("train"), target, groups=4))


def test_answers_are_shared_by_parts_of_one_corpus_and_not_by_namesakes(dealt) -> None:
    test, codes = dealt[0].only("test"), dealt[1]
    iid, ood = (ShiftTest(part, only_part(test, codes, part)) for part in ("iid", "ood"))
    assert iid.seen == ood.seen
    louder = {name: replace(frames, values=frames.values * 2) for name, frames in test.frames.items()}
    assert ShiftTest("loud", replace(test, frames=louder)).seen != iid.seen


def test_what_cannot_be_scored_is_refused(dealt, recognizers) -> None:
    corpus, codes = dealt
    labels = corpus.only("train").utterances.labels["emotion"]
    iid = ShiftTest("iid", only_part(corpus.only("test"), codes, "iid"))

    def score(*tests: ShiftTest) -> None:
        score_shifts(recognizers, tests, PLANS, training_labels=labels, config=QUICK)

    with pytest.raises(ConfigError, match="one of them must be 'iid', found ood"):
        score(replace(iid, name="ood"))
    with pytest.raises(ConfigError, match="every test needs its own name"):
        score(iid, replace(iid, name="x"), replace(iid, name="x"))
    with pytest.raises(DataError, match="was trained on dialogues that it is to be scored on"):
        score(iid, ShiftTest("seen", corpus.only("train")))
    with pytest.raises(DataError, match="differs from that of training"):
        score(iid, ShiftTest("other", generate(StandIn(dialogues=5), name="other")))
    with pytest.raises(ConfigError, match="a vector has no time"):
        score(iid, replace(iid, name="late", corruption=corruption("time_shift", severity=0.5)))
