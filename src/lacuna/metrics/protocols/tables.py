"""What the protocols share: columns of tables, rows that belong together, and counts of class names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus.schema import Target
from lacuna.errors import DataError
from lacuna.metrics.counts import Array, Counts, columns, has_confusion, width
from lacuna.metrics.scores import ratio

OTHER = "(no class)"  # the class of empty and unknown predictions: always an error, never averaged over


def words(table: pd.DataFrame, column: str) -> list[str]:
    """Return a column as text without surrounding white space; an empty cell or NaN gives ``""``.

    Example:
        >>> words(pd.DataFrame({"label": [" joy ", None]}), "label")
        ['joy', '']
    """
    return ["" if _empty(value) else str(value).strip() for value in table[column]]


def numbers(table: pd.DataFrame, column: str) -> Array:
    """Return a column as (N,) float64; an empty cell gives NaN.

    Raises:
        DataError: a cell is not a number.
    """
    texts = words(table, column)
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        try:
            values[row] = float(text) if text else np.nan
        except ValueError:
            raise DataError(
                f"row {row + 1} of column '{column}' is not a number",
                expected="a number or an empty cell",
                found=repr(text),
                hint="correct the cell",
            ) from None
    return values


def label_sets(table: pd.DataFrame, column: str) -> list[frozenset[str]]:
    """Return a column of label sets: a list, or text with ``;`` or ``,`` between labels; in lower case.

    Example:
        >>> [sorted(labels) for labels in label_sets(pd.DataFrame({"labels": ["Joy; calm", ["Fear"], ""]}), "labels")]
        [['calm', 'joy'], ['fear'], []]
    """
    sets = []
    for value in table[column]:
        if isinstance(value, list | tuple | set | frozenset):
            parts = [str(part) for part in value]
        else:
            parts = [] if _empty(value) else re.split(r"[;,]", str(value).strip("[] "))
        sets.append(frozenset(word for part in parts if (word := part.strip(" \t'\"").casefold())))
    return sets


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA


def align(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the predictions in the order of the truth, by column ``id``.

    Predictions whose id the truth lacks are not scored: the truth decides what is scored.

    Args:
        predictions: column ``id``, each id once.
        truth: column ``id``, each id once.

    Returns:
        As many rows as the truth.

    Raises:
        DataError: an id is there twice, or a row of the truth has no prediction.
    """
    ids = {}
    for which, table in (("predictions", predictions), ("truth", truth)):
        names = pd.Series(words(table, "id"))
        if (twice := names[names.duplicated()]).size:
            raise DataError(
                f"an id is more than once in the {which}",
                utterance=twice.iloc[0],
                expected="one row an id (and model, seed, modalities)",
                found=f"{twice.nunique()} ids in several rows",
                hint="keep one row for each of them",
            )
        ids[which] = names
    rows = pd.Series(range(len(predictions)), index=ids["predictions"]).reindex(ids["truth"])
    if (missing := rows.isna()).any():
        raise DataError(
            "the truth has rows without a prediction",
            utterance=str(rows.index[missing.to_numpy()][0]),
            found=f"{int(missing.sum())} of {len(rows)} rows have none",
            hint="add these rows with an empty prediction (counted as an error), or remove them from the truth",
        )
    return predictions.iloc[rows.to_numpy(np.int64)].reset_index(drop=True)


def class_names(predictions: pd.DataFrame, truth_labels: Sequence[str], classes: str | None = None) -> tuple[str, ...]:
    """Return the classes to average over.

    Args:
        predictions: its columns ``p_<class>``, if any, declare classes.
        truth_labels: labels of the truth; an empty label declares nothing.
        classes: ``a+b+c`` declares them all.

    Returns:
        The declared classes, else those of the columns ``p_<class>`` followed by labels of the truth that are not among them.
        Predicted words that are no class count as errors, but are not averaged over.

    Raises:
        DataError: the truth has a label that ``classes`` lacks.
    """
    if classes:
        declared = tuple(part.strip() for part in classes.split("+") if part.strip())
        if unknown := sorted(set(truth_labels) - set(declared) - {""}):
            raise DataError(
                "the truth has a label that is no class",
                expected=", ".join(declared),
                found=unknown[0],
                hint="correct the label, or declare the class",
            )
        return declared
    of_columns = [str(column)[2:] for column in predictions.columns if str(column).startswith("p_")]
    return (*of_columns, *sorted(set(truth_labels) - set(of_columns) - {""}))


def class_counts(truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str], weights: Array | None = None) -> Counts:
    """Return counts (n and confusion matrix) of class names, for the functions of :mod:`lacuna.metrics.scores`.

    Args:
        truth: N labels; rows with an empty label are left out.
        predicted: N words; what is no class goes to a last class :data:`OTHER`.
        classes: C names.
        weights: (N,) float64, 1 by default.

    Returns:
        Counts without leading axes of C + 1 classes.

    Example:
        >>> class_counts(["a", "b", ""], ["a", "x", "a"], ("a", "b")).part("confusion").tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    target = Target("label", "classification", (*classes, OTHER))
    code = {name: index for index, name in enumerate(classes)}
    c = len(classes) + 1
    rows = [i for i, label in enumerate(truth) if label]
    cells = np.array([code[truth[i]] * c + code.get(predicted[i], c - 1) for i in rows], np.int64)
    chosen = np.ones(len(rows)) if weights is None else weights[rows]
    values = np.zeros(width(target))
    values[columns(target)["n"][0]] = chosen.sum()
    if has_confusion(target):
        values[columns(target)["confusion"][0]] = np.bincount(cells, chosen, c * c)
    else:
        true, answered = np.divmod(cells, c)
        right = chosen * (true == answered)
        for name, codes, weight in (("hits", true, right), ("truth", true, chosen), ("predicted", answered, chosen)):
            values[columns(target)[name][0]] = np.bincount(codes, weight, c)
    return Counts(target, values)


def class_f1(counts: Counts) -> Array:
    """Return the F1 of each class without :data:`OTHER`, (C,); NaN for a class that neither occurs nor is predicted."""
    return ratio(2 * counts.hits, counts.truth + counts.predicted)[:-1]


def macro(values: Array) -> float:
    """Return the mean of the defined values, NaN if there is none: over classes that occur in the truth or the predictions.

    Example:
        >>> macro(np.array([1.0, np.nan, 0.0]))
        0.5
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def share(hits: NDArray[np.bool_] | Array | Sequence[bool]) -> float:
    """Return the mean of N values, NaN if there are none."""
    values = np.asarray(hits, np.float64)
    return float(values.mean()) if len(values) else float("nan")


def quotient(above: float, below: float, otherwise: float = float("nan")) -> float:
    """Return ``above / below``, and ``otherwise`` where ``below`` is not positive.

    Example:
        >>> quotient(1, 2), quotient(1, 0)
        (0.5, nan)
    """
    return above / below if below > 0 else otherwise
