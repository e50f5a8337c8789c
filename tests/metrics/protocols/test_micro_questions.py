"""Questions about micro-expressions: values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lacuna.errors import ConfigError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.micro_questions import bleu

TRUTH = pd.DataFrame(
    {
        "id": list("abcdefg"),
        "kind": ["coarse"] * 3 + ["fine"] * 2 + ["units"] * 2,
        "answer": ["negative", "negative", "positive", "fear", "joy", "the brow lowers", "the lip corner rises"],
    }
)


def scores(answers: list[str], **options: int) -> pd.Series:  # type: ignore[type-arg]
    predictions = pd.DataFrame({"id": TRUTH["id"], "answer": answers})
    return score_tables("micro_questions", predictions, TRUTH, **options).set_index(["subset", "metric"])["value"]


def test_values_by_hand() -> None:
    got = scores(["Negative", "positive", "positive", "fear", "anger", "the brow", "the cheek rises"])
    # coarse: negative has 1 hit of 2 and 1 prediction, positive 1 of 1 and 2 predictions: F1 = 2/3 each, recalls 1/2 and 1
    assert got["coarse", "uf1"] == pytest.approx(2 / 3)
    assert got["coarse", "uar"] == pytest.approx(3 / 4)
    # fine: fear is right, joy became a word that is no class of the truth
    assert got["fine", "uf1"] == got["fine", "uar"] == 0.5
    # 12 true and 10 predicted words, of which 7 match: negative, positive, fear, the, brow, the, rises
    assert got["all", "bleu"] == pytest.approx(math.exp(1 - 12 / 10) * 7 / 10)
    rouge = np.mean([1, 0, 1, 1, 0, 2 * 2 / 5, 2 * 2 / 7])
    assert got["all", "rouge_1"] == pytest.approx(rouge)
    parts = [2 / 3, 3 / 4, 0.5, 0.5, math.exp(-0.2) * 0.7, rouge]
    assert got["all", "average"] == pytest.approx(np.mean(parts))


def test_longer_n_grams() -> None:
    """One pair of neighbours of three matches: sqrt(3/4 * 1/3), no penalty for equal lengths."""
    assert bleu(["a b c d"], ["a b d x"], order=2) == pytest.approx(math.sqrt(3 / 4 * 1 / 3))
    assert bleu(["a b c d"], ["a x b y"], order=2) == 0
    assert bleu(["a"], ["a a a"]) == pytest.approx(1 / 3)  # a word is counted as often as it is in the reference


def test_edge_cases() -> None:
    assert math.isnan(bleu([], []))
    nothing = scores([""] * 7)
    assert nothing["coarse", "uf1"] == nothing["fine", "uar"] == nothing["all", "bleu"] == nothing["all", "rouge_1"] == 0
    right = scores(list(TRUTH["answer"]))
    np.testing.assert_allclose(right, 1)
    free = score_tables("micro_questions", TRUTH[["id", "answer"]].tail(2), TRUTH.tail(2)).set_index(["subset", "metric"])[
        "value"
    ]
    assert math.isnan(free["coarse", "uf1"])
    assert math.isnan(free["all", "average"])
    assert free["all", "bleu"] == 1
    with pytest.raises(ConfigError, match="at least 1"):
        scores([""] * 7, order=0)
