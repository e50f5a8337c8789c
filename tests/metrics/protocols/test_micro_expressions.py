"""Spot-then-recognise: values by hand, an optimal assignment as reference, and published products."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from lacuna.errors import DataError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.micro_expressions import interval_iou, match_intervals

COLUMNS = ["video", "onset", "offset", "label"]


def scores(predictions: list[tuple], truth: list[tuple], **options: object) -> dict[str, float]:
    tables = (pd.DataFrame(rows, columns=COLUMNS) for rows in (predictions, truth))
    table = score_tables("micro_expressions", *tables, **options)
    return dict(zip(table["metric"], table["value"], strict=True))


TRUTH = [("v1", 0, 9, "negative"), ("v1", 50, 59, "positive"), ("v2", 0, 9, "negative"), ("v3", 0, 9, "surprise")]


def test_values_by_hand() -> None:
    predictions = [("v1", 0, 9, "negative"), ("v1", 52, 61, "negative"), ("v2", 30, 39, "negative"), ("v4", 0, 9, "negative")]
    got = scores(predictions, TRUTH)
    assert got["precision"] == 2 / 4
    assert got["recall"] == 2 / 4
    assert got["f1s"] == 0.5
    assert got["f1r"] == pytest.approx((2 * 1 / 3 + 0 + 0) / 3)  # negative: one hit, one false; the others are never right
    assert got["f1r"] == pytest.approx(0.2222, abs=1e-4)
    assert got["uar"] == pytest.approx(1 / 3)
    assert got["strs"] == pytest.approx(0.5 * 2 / 9)
    assert got["f1r_script"] == pytest.approx(2 * (1 / 6) * (1 / 3) / (1 / 6 + 1 / 3))


@pytest.mark.parametrize(("f1s", "strs"), [(0.0278, 0.0062), (0.0387, 0.0086)])
def test_the_published_baseline_is_a_product_with_two_ninths(f1s: float, strs: float) -> None:
    assert round(f1s * 0.2222, 4) == strs


def test_a_perfect_answer_scores_one() -> None:
    assert set(scores(TRUTH, TRUTH).values()) == {1.0}


def test_overlap_counts_frames_with_the_offset() -> None:
    frames = len(set(range(3, 13)) & set(range(8, 15))) / len(set(range(3, 13)) | set(range(8, 15)))
    assert interval_iou(np.array([[3.0, 12.0]]), np.array([[8.0, 14.0]]))[0, 0] == pytest.approx(frames)
    assert interval_iou(np.array([[3.0, 12.0]]), np.array([[8.0, 14.0]]), inclusive=False)[0, 0] == pytest.approx(4 / 11)


def test_an_overlap_of_exactly_one_half_is_a_hit() -> None:
    assert scores([("v1", 0, 4, "negative")], [("v1", 0, 9, "negative")])["f1s"] == 1
    assert scores([("v1", 0, 3, "negative")], [("v1", 0, 9, "negative")])["f1s"] == 0


def test_two_predictions_of_one_event_are_one_hit() -> None:
    got = scores([("v1", 0, 9, "a"), ("v1", 1, 9, "a")], [("v1", 0, 9, "a")])
    assert got["precision"] == 0.5
    assert got["recall"] == 1


@pytest.mark.parametrize("seed", range(10))
def test_matching_finds_as_many_pairs_as_the_best_assignment(seed: int) -> None:
    generator = np.random.default_rng(seed)
    starts = np.arange(8) * 12.0  # true events do not overlap each other
    truth = np.stack([starts, starts + generator.integers(3, 11, 8)], axis=1)
    found = truth + generator.integers(-3, 4, truth.shape)
    found = np.sort(found, axis=1)
    iou = interval_iou(found, truth)
    rows, columns = linear_sum_assignment(-(iou >= 0.5).astype(float))
    assert len(match_intervals(iou)) == int((iou >= 0.5)[rows, columns].sum())


def test_no_event_and_no_hit() -> None:
    nothing = scores([], [])
    assert all(math.isnan(value) for value in nothing.values())
    false_alarm = scores([("v1", 0, 9, "a")], [])
    assert false_alarm["f1s"] == 0
    assert math.isnan(false_alarm["strs"])
    missed = scores([], [("v1", 0, 9, "a")])
    assert missed["f1s"] == missed["f1r"] == missed["strs"] == 0


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(DataError, match="row 1 of the predictions is no interval"):
        scores([("v1", 9, 0, "a")], TRUTH)
