"""Which of two descriptions of an emotion people prefer (MER2026, track MER-Prefer)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, class_f1, macro, share, words

SIDES = ("a", "b")
TIE = "tie"


@protocol(
    "preference",
    title="Human preference between two descriptions",
    source="task of MER2026, track MER-Prefer (arXiv 2604.19417); its metric was not checked",
    status="reconstruction",
    formula="mean of 1 (same side), 1/2 (predicted tie), 0; macro-F1 over the two sides",
    predictions=("id", "predicted"),
    truth=("id", "label"),
)
def score_preference(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return agreement with human preference over pairs; the formula is a reconstruction.

    Pairs that people call a tie are left out (``true_ties`` is their share). A predicted tie scores one half, an empty or unknown
    prediction 0; in the macro-F1 both are errors.

    Args:
        predictions: ``id``, ``predicted``: ``a``, ``b`` or ``tie``.
        truth: ``id``, ``label``: ``a``, ``b`` or ``tie``.

    Raises:
        DataError: a label of the truth is something else.
    """
    answers = [text.casefold() for text in words(align(predictions, truth), "predicted")]
    labels = [text.casefold() for text in words(truth, "label")]
    if unknown := sorted({*labels} - {*SIDES, TIE}):
        raise DataError("a preference is not valid", expected="a, b or tie", found=repr(unknown[0]))
    decided = [(t, p) for t, p in zip(labels, answers, strict=True) if t != TIE]
    credit = np.array([1.0 if t == p else 0.5 if p == TIE else 0.0 for t, p in decided])
    counts = class_counts([t for t, _ in decided], [p for _, p in decided], SIDES)
    return [
        ProtocolScore("accuracy", share(credit), len(decided)),
        ProtocolScore("macro_f1", macro(class_f1(counts)), len(decided)),
        ProtocolScore("decided", share([p in SIDES for _, p in decided]), len(decided)),
        ProtocolScore("true_ties", share([t == TIE for t in labels]), len(labels)),
    ]
