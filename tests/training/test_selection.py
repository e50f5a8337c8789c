from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from lacuna import evaluation
from lacuna.corpus import Target
from lacuna.metrics.scores import ccc_of, weighted_f1_of
from lacuna.training.selection import Tally, metric_name

CLASSES = Target("emotion", "classification", ("a", "b", "c", "d"))
VALUES = Target("score", "regression")


def test_weighted_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 4):
        true, logits = rng.integers(0, classes, 200), rng.normal(size=(200, 4))
        tally = Tally(CLASSES)
        for low in range(0, 200, 60):
            part = slice(low, low + 60)
            tally.add(torch.tensor(logits[part]).float(), torch.tensor(true[part]), torch.ones(len(true[part]), dtype=torch.bool))
        assert tally.metric == pytest.approx(f1_score(true, logits.argmax(1), average="weighted", zero_division=0))
        assert tally.labelled == 200


def test_the_truth_is_in_the_rows() -> None:
    assert weighted_f1_of(np.array([[277, 0], [379, 0]])) == pytest.approx(0.251, abs=1e-3)  # constant, rarer class
    assert weighted_f1_of(np.array([[0, 277], [0, 379]])) == pytest.approx(0.423, abs=1e-3)  # not 0.732


def test_concordance() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=300), rng.normal(size=300)
    p += y
    moments = np.array([300, y.sum(), p.sum(), y @ y, p @ p, y @ p])
    expected = 2 * np.cov(y, p, bias=True)[0, 1] / (y.var() + p.var() + (y.mean() - p.mean()) ** 2)
    assert ccc_of(moments) == pytest.approx(expected)
    assert np.isnan(ccc_of(np.zeros(6)))
    assert Tally(VALUES).metric == 0
    constant = Tally(VALUES)
    constant.add(torch.full((300, 1), 0.1), torch.tensor(y).float(), torch.ones(300, dtype=torch.bool))
    assert constant.metric == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
def test_it_is_the_metric_of_the_evaluation_room(task: str) -> None:
    target = Target("t", task, () if task == "regression" else ("a", "b"))  # type: ignore[arg-type]
    assert metric_name(target) == evaluation.primary(target)


def reported(target: Target, logits: np.ndarray, label: np.ndarray) -> float:
    one = np.zeros(len(label), np.int64)
    return float(evaluation.score(evaluation.count(target, logits, label, one, 1))[0])


def selected(target: Target, logits: np.ndarray, label: np.ndarray) -> float:
    """In batches of 17."""
    tally, known = Tally(target), np.isfinite(label) if label.ndim == 1 else np.isfinite(label).all(axis=1)
    known = known & (label >= 0) if target.task == "classification" else known
    for low in range(0, len(label), 17):
        part = (torch.from_numpy(x[low : low + 17]) for x in (logits, label, known))
        tally.add(*part)
    return tally.metric


@pytest.mark.parametrize("task", ["classification", "soft"])
@pytest.mark.parametrize("spread", [1.0, 1e-6, 0.0])
def test_what_is_selected_by_is_what_is_reported_of_classes(task: str, spread: float) -> None:
    rng = np.random.default_rng(0)
    target = Target("t", task, ("a", "b", "c", "d"))  # type: ignore[arg-type]
    for _ in range(20):
        n = int(rng.integers(1, 60))
        logits = (np.float32([0, 0.5, 0.5, 0]) + spread * rng.normal(size=(n, 4))).astype(np.float32)
        label: np.ndarray = rng.integers(-1, rng.integers(1, 5), n)
        label[0] = 0
        if task == "soft":
            label = np.where(label[:, None] < 0, np.nan, rng.dirichlet(np.ones(4), n)).astype(np.float32)
        assert selected(target, logits, label) == pytest.approx(reported(target, logits, label), abs=1e-12)


@pytest.mark.parametrize("scale", [(None, None), (-3, 3), (1, 5)])
@pytest.mark.parametrize("constant", [0.0, 0.1, 3.0, -1e4])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-7, 0.0])
def test_what_is_selected_by_is_what_is_reported_of_values(
    scale: tuple[float | None, float | None], constant: float, spread: float
) -> None:
    rng = np.random.default_rng(0)
    target = Target("t", "regression", low=scale[0], high=scale[1])
    for _ in range(10):
        label = rng.uniform(1, 3, 70).astype(np.float32)
        label[rng.integers(0, 70, 5)] = np.nan
        logits = np.float32(constant) + np.float32(spread) * np.nan_to_num(label + rng.normal(size=70)).astype(np.float32)
        here, there = selected(target, logits[:, None], label), reported(target, logits[:, None], label)
        assert here == pytest.approx(there, rel=1e-6, abs=1e-12)
        if spread == 0:
            assert here == 0
        alike = np.full(70, 2.5, np.float32)  # the truth does not vary
        assert selected(target, logits[:, None], alike) == reported(target, logits[:, None], alike) == 0


def test_unlabelled_utterances_do_not_count() -> None:
    tally = Tally(CLASSES)
    tally.add(torch.eye(4), torch.tensor([0, -1, 2, -1]), torch.tensor([True, False, True, False]))
    assert tally.confusion.sum() == 2
    assert tally.metric == 1
    tally.add(torch.eye(4), torch.full((4,), -1), torch.zeros(4, dtype=torch.bool))
    assert tally.labelled == 2
