"""Metrics equal their references, and keep clear of the field's known mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lacuna.corpus import Target
from lacuna.errors import ConfigError, DataError
from lacuna.metrics.counts import BINS, Counts, baseline_counts, columns, count, width
from lacuna.metrics.scores import METRICS, ccc_of, metric, metrics_of, primary, score, weighted_f1_of

SENTIMENT = Target("sentiment", "regression", low=-3, high=3)
POLARITY = Target("polarity", "classification", ("negative", "neutral", "positive"))


def emotion(classes: int, task: str = "classification") -> Target:
    return Target("emotion", task, tuple(f"c{i}" for i in range(classes)))  # type: ignore[arg-type]


def one_hot(predicted: np.ndarray, classes: int, scale: float = 1.0) -> np.ndarray:
    return np.eye(classes)[predicted] * scale


def total(target: Target, logits: np.ndarray, labels: np.ndarray) -> Counts:
    return count(target, logits, labels, np.zeros(len(labels), np.int64), 1).pooled()


def values(target: Target, answer: np.ndarray, truth: np.ndarray) -> Counts:
    return total(target, answer[:, None].astype(np.float32), truth.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_class_metrics_equal_scikit_learn(data: st.DataObject) -> None:
    classes = data.draw(st.integers(1, 6))
    label = st.lists(st.integers(0, classes - 1), min_size=1, max_size=40)
    truth = np.array(data.draw(label))
    predicted = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=len(truth), max_size=len(truth))))
    counts = total(emotion(classes), one_hot(predicted, classes), truth)
    recall = sk.recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert float(score(counts, "unweighted_accuracy")) == pytest.approx(recall)
    assert float(score(counts, "accuracy")) == pytest.approx(sk.accuracy_score(truth, predicted))
    for name, average in (("weighted_f1", "weighted"), ("macro_f1", "macro")):
        expected = sk.f1_score(truth, predicted, average=average, zero_division=0)
        assert float(score(counts, name)) == pytest.approx(expected)
    each = sk.f1_score(truth, predicted, labels=range(classes), average=None, zero_division=0)
    assert [float(score(counts, f"f1:c{i}")) for i in range(classes)] == pytest.approx(each.tolist())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_probability_metrics_equal_their_references(seed: int, n: int) -> None:
    r = np.random.default_rng(seed)
    logits, truth, soft = r.normal(size=(n, 4)) * 3, r.integers(4, size=n), r.dirichlet(np.ones(4) / 2, size=n).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert float(score(total(emotion(4), logits, truth), "log_loss")) == pytest.approx(sk.log_loss(truth, p, labels=range(4)))
    counts, q = total(emotion(4, "soft"), logits, soft), soft.astype(np.float64)
    q = q / q.sum(axis=1, keepdims=True)
    assert float(score(counts, "cross_entropy")) == pytest.approx(-(q * np.log(p)).sum(axis=1).mean(), rel=1e-5)
    assert float(score(counts, "kl")) == pytest.approx(stats.entropy(q, p, axis=1).mean(), rel=1e-4)
    middle = (p + q) / 2
    js = (stats.entropy(p, middle, axis=1) + stats.entropy(q, middle, axis=1)) / 2
    assert float(score(counts, "js")) == pytest.approx(js.mean(), rel=1e-4)
    assert float(score(counts, "accuracy")) == pytest.approx((p.argmax(1) == soft.argmax(1)).mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 60), st.sampled_from([0.0, 100.0]))
def test_value_metrics_equal_their_references(seed: int, n: int, offset: float) -> None:
    r = np.random.default_rng(seed)
    truth = np.clip(np.round(r.normal(size=n) * 6) / 3, -3, 3) + offset
    answer = truth * r.normal() + r.normal(size=n) + offset
    target = SENTIMENT if offset == 0 else Target("arousal", "regression")
    counts = values(target, answer, truth)
    y, p = truth.astype(np.float32).astype(float), answer.astype(np.float32).astype(float)
    assert float(score(counts, "mae")) == pytest.approx(sk.mean_absolute_error(y, p))
    assert float(score(counts, "rmse")) == pytest.approx(sk.root_mean_squared_error(y, p))
    if y.std() > 0 and p.std() > 0:
        assert float(score(counts, "pearson")) == pytest.approx(stats.pearsonr(y, p)[0], abs=1e-6)
        concordance = 2 * np.cov(y, p, bias=True)[0, 1] / (y.var() + p.var() + (y.mean() - p.mean()) ** 2)
        assert float(score(counts, "ccc")) == pytest.approx(concordance, abs=1e-6)
    if target is not SENTIMENT:
        return
    assert float(score(counts, "acc2_has0")) == pytest.approx(((y >= 0) == (p >= 0)).mean())
    assert float(score(counts, "f1_has0")) == pytest.approx(sk.f1_score(y >= 0, p >= 0, average="weighted", zero_division=0))
    for steps in (2, 3):
        same = np.round(np.clip(y, -steps, steps)) == np.round(np.clip(p, -steps, steps))
        assert float(score(counts, f"acc{2 * steps + 1}")) == pytest.approx(same.mean())
    keep = y != 0
    if keep.any():
        assert float(score(counts, "acc2_non0")) == pytest.approx(((y > 0) == (p > 0))[keep].mean())
        expected = sk.f1_score((y > 0)[keep], (p > 0)[keep], average="weighted", zero_division=0)
        assert float(score(counts, "f1_non0")) == pytest.approx(expected)


@pytest.mark.parametrize(("counts", "right", "swapped"), [((277, 379), 0.423, 0.732), ((31, 69), 0.565, 0.818)])
def test_mistake_lnln_f1_with_swapped_arguments(counts: tuple[int, int], right: float, swapped: float) -> None:
    truth = np.repeat([0, 1], counts)
    confusion = total(emotion(2), one_hot(np.ones_like(truth), 2), truth)
    assert float(score(confusion, "weighted_f1")) == pytest.approx(right, abs=2e-3)
    assert swapped == pytest.approx(sk.f1_score(np.ones_like(truth), truth, average="weighted"), abs=2e-3)
    signs = values(SENTIMENT, np.ones(len(truth)), np.where(truth == 1, 1.0, -1.0))
    assert float(score(signs, "f1_non0")) == pytest.approx(right, abs=2e-3)
    transposed = Counts(emotion(2), confusion.values.copy())
    transposed.part("confusion")[...] = confusion.part("confusion").T
    assert float(score(transposed, "weighted_f1")) == pytest.approx(swapped, abs=2e-3)


def test_mistake_unlabelled_or_padded_utterances_are_scored_as_class_0() -> None:  # DGSDNet: label 0 for padding
    truth = np.array([1, 1, -1, -1, -1])
    counts = total(emotion(2), one_hot(np.array([1, 1, 0, 0, 0]), 2), truth)
    assert float(counts.part("n")) == 2
    assert float(score(counts)) == 1
    soft = np.array([[0.2, 0.8], [np.nan, np.nan]], np.float32)
    assert float(total(emotion(2, "soft"), np.zeros((2, 2)), soft).part("n")) == 1
    assert float(values(SENTIMENT, np.zeros(3), np.array([1, np.nan, 2])).part("n")) == 2


def test_mistake_neutral_utterances_are_counted_as_positive_or_dropped_silently() -> None:
    truth, answer = np.array([0.0, 0.0, 2.0, -1.0]), np.array([0.4, -0.4, 1.0, -0.1])
    counts = values(SENTIMENT, answer, truth)
    assert float(score(counts, "acc2_has0")) == 0.75  # y = 0 counts as not negative
    assert float(score(counts, "acc2_non0")) == 1.0  # y = 0 left out
    names = [m.name for m in metrics_of(SENTIMENT)]
    assert {"acc2_has0", "f1_has0", "acc2_non0", "f1_non0"} <= set(names)  # both are always reported


def test_mistake_acc7_rounds_half_away_from_zero_or_does_not_clip() -> None:
    truth = np.array([2.0, 0.0, 0.0, -2.0, 3.0, -3.0, 3.0])
    answer = np.array([2.5, 0.5, -0.5, -1.5, 9.0, -4.0, 3.4])
    assert float(score(values(SENTIMENT, answer, truth), "acc7")) == 1.0
    assert float(score(values(SENTIMENT, np.array([1.4, 2.6]), np.array([2.0, 3.0])), "acc7")) == 0.5
    assert float(score(values(SENTIMENT, np.array([2.6, 1.4]), np.array([2.0, 3.0])), "acc5")) == 0.5


def test_mistake_sign_and_rounding_metrics_on_another_scale() -> None:
    valence = Target("valence", "regression", low=1, high=5)
    assert {m.name for m in metrics_of(valence)} == {"ccc", "pearson", "mae", "rmse"}
    with pytest.raises(ConfigError, match=r"no metric 'acc7'.*there are: ccc"):
        metric(valence, "acc7")


def test_mistake_average_of_batch_metrics() -> None:
    r = np.random.default_rng(0)
    logits, truth, dialogue = r.normal(size=(101, 5)), r.integers(-1, 5, size=101), r.integers(7, size=101)
    whole = count(emotion(5), logits, truth, dialogue, 7)
    for size in (1, 8, 50):
        parts = [
            count(emotion(5), logits[i : i + size], truth[i : i + size], dialogue[i : i + size], 7) for i in range(0, 101, size)
        ]
        summed = sum(parts[1:], parts[0])
        np.testing.assert_allclose(summed.values, whole.values, atol=1e-12)
        np.testing.assert_array_equal(summed.part("confusion"), whole.part("confusion"))


def test_non0_of_polarity_classes_follows_cider() -> None:
    truth, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 2, 2, 1, 0])
    counts, keep = total(POLARITY, one_hot(predicted, 3), truth), truth != 1
    assert float(score(counts, "non0_accuracy")) == pytest.approx((truth == predicted)[keep].mean())
    expected = sk.f1_score(truth[keep], predicted[keep], labels=[0, 2], average="weighted")
    assert float(score(counts, "non0_f1")) == pytest.approx(expected)
    assert "non0_f1" not in [m.name for m in metrics_of(emotion(3))]


@pytest.mark.parametrize("target", [emotion(4), emotion(4, "soft"), POLARITY, SENTIMENT, Target("v", "regression")])
def test_leading_axes_are_independent_and_empty_counts_are_nan(target: Target) -> None:
    r = np.random.default_rng(1)
    if target.task == "regression":
        labels = r.uniform(-3, 3, size=40).astype(np.float32)
    elif target.task == "soft":
        labels = r.dirichlet(np.ones(4), size=40).astype(np.float32)
    else:
        labels = r.integers(target.width, size=40)
    each = count(target, r.normal(size=(40, target.width)), labels, np.arange(40) % 6, 6)
    weights = r.integers(0, 3, size=(5, 2, 6)).astype(float)
    weights[0, 0] = 0
    many = Counts(target, weights @ each.values)
    for m in metrics_of(target, detail=True):
        result = m.compute(many)
        assert result.shape == (5, 2)
        for at in np.ndindex(5, 2):
            alone = m.compute(Counts(target, weights[at] @ each.values))
            np.testing.assert_allclose(result[at], alone)
        assert np.isnan(result[0, 0]) or m.name.startswith("f1:")
        inside = result[np.isfinite(result)]
        assert m.low is None or (inside >= m.low - 1e-12).all()
        assert m.high is None or (inside <= m.high + 1e-12).all()


def test_the_baseline_has_its_analytic_values() -> None:
    truth, training = np.repeat([0, 1, 2], [10, 60, 30]), np.repeat([0, 1, 2], [20, 50, 30])
    counts = baseline_counts(emotion(3), training, truth, np.zeros(100, np.int64), 1).pooled()
    assert float(score(counts, "accuracy")) == pytest.approx(0.6)
    assert float(score(counts, "unweighted_accuracy")) == pytest.approx(1 / 3)
    assert float(score(counts, "weighted_f1")) == pytest.approx(0.6 * 2 * 0.6 / 1.6)
    assert float(score(counts, "macro_f1")) == pytest.approx(2 * 0.6 / 1.6 / 3)
    prior = np.array([21, 51, 31]) / 103
    assert float(score(counts, "log_loss")) == pytest.approx(-(np.array([0.1, 0.6, 0.3]) * np.log(prior)).sum(), rel=1e-6)
    assert float(score(counts, "ece")) == pytest.approx(0.6 - prior[1], rel=1e-5)
    y = np.array([-1.0, 0.5, 2.0, 3.0], np.float32)
    values_ = baseline_counts(SENTIMENT, np.array([0.0, 1.0, np.nan], np.float32), y, np.zeros(4, np.int64), 1).pooled()
    assert float(score(values_, "mae")) == pytest.approx(np.abs(y - 0.5).mean())
    assert float(score(values_, "ccc")) == float(score(values_, "pearson")) == 0
    with pytest.raises(DataError, match="no training utterance is labelled"):
        baseline_counts(emotion(3), np.array([-1, -1]), truth, np.zeros(100, np.int64), 1)


@pytest.mark.parametrize("level", [0.1, 1 / 3, 2.7, 1e4])
@pytest.mark.parametrize("n", [3, 1000, 40_000])
def test_correlation_of_a_collapsed_model_is_0_not_rounding_noise(level: float, n: int) -> None:
    truth = np.random.default_rng(0).uniform(-3, 3, size=n)
    counts = values(Target("v", "regression"), np.full(n, level), truth)
    assert float(score(counts, "pearson")) == float(score(counts, "ccc")) == 0


def test_ece_of_a_calibrated_model_is_near_0_and_of_an_overconfident_one_is_the_gap() -> None:
    r = np.random.default_rng(0)
    p = r.dirichlet(np.ones(4) * 2, size=100_000)
    truth = (r.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)
    assert float(score(total(emotion(4), np.log(p), truth), "ece")) < 0.01
    half = np.arange(1000) % 2
    sure = total(emotion(2), one_hot(np.zeros(1000, int), 2, 30.0), half)
    assert float(score(sure, "ece")) == pytest.approx(0.5, abs=1e-6)
    assert float(score(sure, "mce")) == pytest.approx(0.5, abs=1e-6)
    bins = sure.part("bins")
    assert bins.shape == (BINS, 3)
    assert bins[-1].tolist() == pytest.approx([1000, 500, 1000])


def test_confidence_on_a_bin_edge_belongs_to_the_lower_bin() -> None:
    counts = total(emotion(5), np.zeros((1, 5)), np.array([0]))  # 1/5 = 3/15
    assert counts.part("bins")[2, 0] == 1


def test_predictions_that_cannot_be_scored_are_refused() -> None:
    truth = np.array([0, 1, 1])
    logits = np.zeros((3, 2))
    logits[1, 0] = np.nan
    with pytest.raises(DataError, match="NaN or inf for 1 of 3 utterances"):
        total(emotion(2), logits, truth)
    with pytest.raises(DataError, match="do not fit"):
        total(emotion(2), np.zeros((3, 1)), truth)
    with pytest.raises(DataError, match="no class of the target"):
        total(emotion(2), np.zeros((3, 2)), np.array([0, 1, 2]))
    empty = count(emotion(2), np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0, np.int64), 3)
    assert empty.values.shape == (3, width(emotion(2)))


def test_the_registry_is_complete() -> None:
    for target in (emotion(3), emotion(3, "soft"), POLARITY, SENTIMENT, Target("v", "regression")):
        assert metrics_of(target)[0].name == primary(target)
        names = [m.name for m in metrics_of(target, detail=True)]
        assert len(set(names)) == len(names)
        stops = [where.stop for where, _ in columns(target).values()]
        assert stops == sorted(stops)
        assert width(target) == stops[-1]
    assert all(m.doc for m in METRICS)


def test_array_functions_equal_the_metrics_of_counts() -> None:
    r = np.random.default_rng(0)
    truth, predicted = r.integers(4, size=50), r.integers(3, size=50)
    counts = total(emotion(4), one_hot(predicted, 4), truth)
    assert float(weighted_f1_of(counts.part("confusion").astype(int))) == float(score(counts, "weighted_f1"))
    y, p = r.normal(size=50), r.normal(size=50)
    sums = np.array([50, y.sum(), p.sum(), y @ y, p @ p, y @ p])
    assert float(ccc_of(sums)) == pytest.approx(float(score(values(Target("v", "regression"), p, y), "ccc")), abs=1e-6)
