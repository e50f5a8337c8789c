"""The all-inclusive rule: every sample and every rating counts, also where raters disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import DataError
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.multi_label import indicator_scores
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, numbers, words


def columns_of(table: pd.DataFrame, prefix: str) -> tuple[tuple[str, ...], Array]:
    """Return the classes and the values (N, C) float64 of the columns ``<prefix><class>``.

    Raises:
        DataError: a value is empty, negative or not finite.
    """
    names = [str(column) for column in table.columns if str(column).startswith(prefix)]
    values = np.stack([numbers(table, name) for name in names], axis=1) if names else np.zeros((len(table), 0))  # (N, C)
    if (bad := ~(np.isfinite(values) & (values >= 0)).all(axis=1)).any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"a value of the columns {prefix}* is not valid",
            utterance=words(table, "id")[row] if "id" in table else None,
            expected="numbers of at least 0",
            found=f"{values[row].tolist()}",
        )
    return tuple(name.removeprefix(prefix) for name in names), values


def above_uniform(values: Array) -> NDArray[np.bool_]:
    """Return which classes have more than 1 / C of a row's sum: (N, C) -> (N, C) bool; a row of zeros has none.

    Example:
        >>> above_uniform(np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]])).tolist()
        [[True, False, False], [False, False, False]]
    """
    return np.asarray(values * values.shape[1] > values.sum(axis=1, keepdims=True) * (1 + 1e-9))


@protocol(
    "all_inclusive",
    title="All ratings as several labels",
    source="Chou, dissertation (arXiv 2510.05934); EMO-SUPERB",
    status="published",
    formula="label c if its share of the votes > 1 / C; predicted if p_c > 1 / C; macro-F1 over classes",
    predictions=("id", "p_*"),
    truth=("id", "votes_*"),
)
def score_all_inclusive(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return multi-label scores where a label is a class with more than its uniform share of votes.

    A share of exactly 1 / C is no label (up to rounding error), so uniform votes or probabilities give an empty set. Macro-F1
    averages over the classes that occur in truth or predictions. A sample without any vote is an error.

    Args:
        predictions: ``id`` and ``p_<class>``.
        truth: ``id`` and ``votes_<class>``: counts or shares, primary and secondary ratings alike.

    Raises:
        DataError: the classes of both tables differ, or a sample has no vote.
    """
    answers = align(predictions, truth)
    (true_names, votes), (names, p) = columns_of(truth, "votes_"), columns_of(answers, "p_")
    if set(names) != set(true_names):
        raise DataError("predictions and votes have different classes", expected=", ".join(true_names), found=", ".join(names))
    if (empty := votes.sum(axis=1) == 0).any():
        raise DataError("a sample has no vote", utterance=words(truth, "id")[int(np.flatnonzero(empty)[0])])
    p = p[:, [names.index(name) for name in true_names]]
    scores = indicator_scores(above_uniform(votes), above_uniform(p))
    order = ["macro_f1", *(name for name in scores if name != "macro_f1")]
    return [ProtocolScore(metric, scores[metric], len(truth)) for metric in order]
