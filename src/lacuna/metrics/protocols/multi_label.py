"""Several labels an utterance, from a closed list: example-based, micro and macro scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, label_sets, macro, share
from lacuna.metrics.scores import ratio


def indicator_scores(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    """Return scores of indicator matrices.

    Args:
        truth: (N, C) bool, label c belongs to sample n.
        predicted: (N, C) bool.

    Returns:
        ``precision``, ``recall``, ``example_f1``, ``jaccard``: means over samples; where both sets are empty they are 1, where
        one is empty they are 0. ``exact_match``; ``micro_f1`` over all N C decisions; ``macro_f1`` over the labels that occur
        in truth or predictions. All NaN without samples; micro and macro F1 NaN without any label.

    Example:
        >>> t, p = np.array([[1, 1, 0], [0, 0, 1]], bool), np.array([[1, 0, 0], [0, 1, 1]], bool)
        >>> {name: round(value, 3) for name, value in indicator_scores(t, p).items() if name.endswith("f1")}
        {'example_f1': 0.667, 'micro_f1': 0.667, 'macro_f1': 0.667}
    """
    both, n_true, n_predicted = ((truth & predicted).sum(1), truth.sum(1), predicted.sum(1))
    agree = ((n_true == 0) & (n_predicted == 0)).astype(np.float64)
    by_sample = {
        "precision": np.maximum(ratio(both, n_predicted, 0.0), agree),
        "recall": np.maximum(ratio(both, n_true, 0.0), agree),
        "example_f1": np.maximum(ratio(2 * both, n_true + n_predicted, 0.0), agree),
        "jaccard": np.maximum(ratio(both, n_true + n_predicted - both, 0.0), agree),
        "exact_match": (truth == predicted).all(1),
    }
    hits, size = (truth & predicted).sum(0), truth.sum(0) + predicted.sum(0)
    scores = {name: share(values) for name, values in by_sample.items()}
    return scores | {"micro_f1": float(ratio(2 * hits.sum(), size.sum())), "macro_f1": macro(ratio(2 * hits, size))}


def indicators(sets: Sequence[frozenset[str]], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of C labels each of N sets holds: (N, C) bool."""
    return np.array([[label in one for label in labels] for one in sets], np.bool_).reshape(len(sets), len(labels))  # (N, C)


@protocol(
    "multi_label",
    title="Several labels an utterance",
    source="Zhang and Zhou, IEEE TKDE 2014; multi-label tasks of MER and MME-Emotion benchmarks",
    status="published",
    formula="precision = mean |Y n P| / |P|, recall = mean |Y n P| / |Y|, Jaccard = mean |Y n P| / |Y u P|, micro- and macro-F1",
    predictions=("id", "labels"),
    truth=("id", "labels"),
)
def score_multi_label(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return example-based, micro and macro scores of label sets.

    Empty sets are allowed on both sides: two empty sets agree (1), one empty set scores 0. A predicted word that never occurs
    in the truth is a label of its own with F1 0.

    Args:
        predictions: ``id``, ``labels`` (separated by ``;`` or ``,``, or lists).
        truth: likewise.
    """
    predicted, true = label_sets(align(predictions, truth), "labels"), label_sets(truth, "labels")
    labels = sorted(frozenset().union(*true, *predicted))
    scores = indicator_scores(indicators(true, labels), indicators(predicted, labels))
    return [ProtocolScore(metric, value, len(true)) for metric, value in scores.items()]
