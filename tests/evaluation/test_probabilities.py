"""Reliability bins, risk-coverage curves and example utterances agree with the predictions that they summarise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.corpus import Corpus, Target
from lacuna.evaluation import EvaluationConfig, PatternSpec, predict, sweep
from lacuna.evaluation.examples import example_table
from lacuna.evaluation.probabilities import calibration_table, risk_coverage_table
from lacuna.metrics.counts import count
from lacuna.metrics.scores import score
from lacuna.missing import Layout, MaskPlan
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit
from standin import StandIn, generate

CONFIG = EvaluationConfig(patterns=(PatternSpec("rmm"),), rates=(0.0, 0.6), mask_seeds=(0, 1))
TARGET = Target("mood", "classification", ("low", "high", "none"))


def trained(corpus: Corpus, name: str = "linear", seed: int = 0) -> TrainedRecognizer:
    return fit(Recipe.of(corpus, name, TrainingConfig(epochs=2, threads=1), seed=seed)).trained


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=30, turns=6, frames=4, absent=0.15))


def test_tables_hold_every_prediction_of_every_mask_and_seed(corpus: Corpus) -> None:
    test = corpus.only("test")
    plans = CONFIG.plans([m.name for m in test.modalities])
    labels = corpus.only("train").utterances.labels[corpus.target().name]
    sweeps = [sweep(trained(corpus, seed=s), test, plans, training_labels=labels) for s in (0, 1)]
    bins = calibration_table(sweeps).query("rate == 0.6")
    masks = [MaskPlan("rmm", 0.6, seed).over(Layout.of(test)) for seed in (0, 1)]
    p = np.concatenate([predict(trained(corpus, seed=s), test, mask).probabilities for s in (0, 1) for mask in masks])
    truth = np.tile(test.utterances.labels[corpus.target().name], 4)
    right, known = p.argmax(axis=1) == truth, truth >= 0
    assert bins["count"].sum() == known.sum()
    np.testing.assert_allclose((bins["accuracy"] * bins["count"]).sum(), right[known].sum())
    np.testing.assert_allclose((bins["confidence"] * bins["count"]).sum(), p.max(axis=1)[known].sum(), rtol=1e-5)
    curve = risk_coverage_table(sweeps).query("rate == 0.6")
    assert curve["coverage"].is_monotonic_increasing
    np.testing.assert_allclose(curve[["coverage", "risk"]].iloc[-1], [1, 1 - right[known].mean()])


@given(st.integers(0, 2**32 - 1), st.floats(0.7, 5))
def test_the_area_is_that_of_the_ordered_errors(seed: int, scale: float) -> None:
    """Up to the order within a bin, which is worth little unless all confidences lie in few bins."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=300)
    logits = scale * (np.eye(3)[labels] + rng.normal(size=(300, 3)))
    counts = count(TARGET, logits, labels, np.zeros(300, np.int64), 1)
    confidence = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).max(axis=1)
    wrong = (logits.argmax(axis=1) != labels)[np.argsort(-confidence)]
    exact, area = (np.cumsum(wrong) / np.arange(1, 301)).mean(), float(score(counts, "aurc")[0])
    assert abs(area - exact) < 0.05
    ordered = np.sort(wrong)
    assert (np.cumsum(ordered) / np.arange(1, 301)).mean() - 0.01 <= area <= (np.cumsum(ordered[::-1]) / np.arange(1, 301)).mean()


def test_a_constant_prediction_has_its_error_rate_as_area() -> None:
    labels = np.array([0, 0, 0, 1])
    counts = count(TARGET, np.tile([[1.0, 0.0, 0.0]], (4, 1)), labels, np.zeros(4, np.int64), 1)
    np.testing.assert_allclose(score(counts, "aurc"), 0.25)


@pytest.mark.parametrize(
    ("name", "task"), [("linear", "classification"), ("context_gru", "classification"), ("linear", "regression")]
)
def test_examples_are_the_predictions_under_the_mask(name: str, task: str) -> None:
    corpus = generate(StandIn(dialogues=30, turns=6, frames=4, absent=0.15), task)
    test, recognizer = corpus.only("test"), trained(corpus, name)
    table = example_table([recognizer], test, CONFIG, number=4)
    assert len(table) == 4
    predictions = predict(recognizer, test, MaskPlan("rmm", 0.6, 0).over(Layout.of(test))).to_frame().set_index("id")
    for row in table.itertuples():
        expected = predictions.loc[row.id]
        gone = {m for m in ("text", "audio", "vision") if not expected[f"has_{m}"]}
        assert {m for m in row.missing.split(", ") if m and not m.startswith("part of")} == gone
        if task == "regression":
            assert row.answer == f"{expected['value']:.2f}"
            assert pd.isna(row.confidence)
        else:
            assert row.answer == expected["predicted"]
            assert row.confidence == pytest.approx(expected["confidence"], abs=1e-5)
