"""Statements about an image or a clip, judged true or false (MVEI)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, macro, share, words

_TRUE, _FALSE = ("true", "yes", "1", "correct"), ("false", "no", "0", "incorrect")


def truth_value(text: str) -> str:
    """Return ``true``, ``false`` or, for everything else, ``""``.

    Example:
        >>> truth_value(" Yes. "), truth_value("0"), truth_value("maybe")
        ('true', 'false', '')
    """
    word = text.strip().strip(".!").casefold()
    return "true" if word in _TRUE else "false" if word in _FALSE else ""


@protocol(
    "mvei",
    title="Accuracy of statements",
    source="MVEI benchmark and its ESJ task (public readme; the evaluation script was not released)",
    status="published",
    formula="accuracy by dimension (polarity, interpretation, context, subjectivity), and their mean",
    predictions=("id", "predicted"),
    truth=("id", "label"),
    optional=("dimension (truth)",),
)
def score_statements(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return the accuracy of true-or-false judgements, by dimension, their mean, and over all statements.

    ``true``, ``yes``, ``1`` and ``correct`` are true, ``false``, ``no``, ``0`` and ``incorrect`` are false; any other
    prediction is an error.

    Args:
        predictions: ``id``, ``predicted``.
        truth: ``id``, ``label``; optionally ``dimension``.

    Raises:
        DataError: a label of the truth is neither true nor false.
    """
    answers = [truth_value(text) for text in words(align(predictions, truth), "predicted")]
    labels = [truth_value(text) for text in words(truth, "label")]
    if "" in labels:
        row = labels.index("")
        raise DataError(
            "a statement has no truth value",
            utterance=words(truth, "id")[row],
            expected="true or false",
            found=truth["label"].iloc[row],
        )
    right = np.array([a == b for a, b in zip(answers, labels, strict=True)], np.bool_)
    dimension = np.asarray(words(truth, "dimension") if "dimension" in truth else ["all"] * len(right), dtype=object)
    names = sorted({*dimension} - {"all", ""})
    by_dimension = [
        ProtocolScore("accuracy", share(right[dimension == name]), int((dimension == name).sum()), name) for name in names
    ]
    scores = [ProtocolScore("accuracy", share(right), len(right)), *by_dimension]
    if names:
        scores.append(ProtocolScore("mean_accuracy", macro(np.array([one.value for one in by_dimension])), len(names)))
    return scores
