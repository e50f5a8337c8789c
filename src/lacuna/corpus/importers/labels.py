"""Targets from columns of labels: scores, class codes, words, one-hot columns, several values an utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.importers.base import slug
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError

POLARITY = ("negative", "neutral", "positive")
Labelled = tuple[Target, NDArray[Any]]


def pairs(option: str, entries: Sequence[str], alone: bool = False) -> dict[str, str]:
    """Return ``key=value`` entries of an option as a dictionary.

    Args:
        option: its name, for the error.
        entries: e.g. ``("positiv=positive",)``.
        alone: allow ``key``, which means ``key=key``.

    Raises:
        ConfigError: an entry has no ``=``.
    """
    result: dict[str, str] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals and not alone:
            raise ConfigError(f"option '{option}' takes entries such as 'key=value', not {entry!r}")
        result[key.strip()] = value.strip() if equals else key.strip()
    return result


def score_target(
    corpus: str,
    name: str,
    values: NDArray[np.float64],
    *,
    scale: tuple[float, float] | None,
    usual: tuple[float, float],
    ids: Sequence[str],
) -> Labelled:
    """Return a regression target with its range.

    Args:
        corpus: for the error.
        name: of the target.
        values: (N,) float64, NaN = unlabelled.
        scale: the declared range, if there is one.
        usual: the range of the format, used if no range is declared.
        ids: N utterance ids.

    Raises:
        DataError: a score lies outside of the range.
    """
    low, high = scale or usual
    least, most = np.floor(np.nanmin(values, initial=0)), np.ceil(np.nanmax(values, initial=0))
    for row in np.flatnonzero((values < low) | (values > high))[:1]:
        raise DataError(
            f"{int(((values < low) | (values > high)).sum())} score(s) of target '{name}' are out of bounds",
            corpus=corpus,
            utterance=ids[row],
            expected=f"from {low:g} to {high:g}",
            found=f"{values[row]:g}",
            hint=f"declare the range with option `scale`, e.g. scale={least:g},{most:g}",
        )
    if not np.isfinite([low, high]).all():
        return Target(name, "regression"), values
    return Target(name, "regression", low=low, high=high), values


def polarity_of(score: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return (N,) codes of ``POLARITY``: the sign of the score, or its side of the middle if no score can be negative."""
    middle = 0.0 if low < 0 else (low + high) / 2
    return np.where(np.isnan(score), -1, np.sign(score - middle) + 1)


def word_target(corpus: str, name: str, words: Sequence[Any], classes: tuple[str, ...], table: Mapping[str, str]) -> Labelled:
    """Return a classification target of label words.

    Args:
        corpus: for the error.
        name: of the target.
        words: N words; empty or ``None`` = unlabelled.
        classes: class names in order; empty = the words that occur, sorted.
        table: other words by which a class is named, e.g. in another language.

    Raises:
        DataError: a word names no class.
    """
    lower = {other.lower(): word.lower() for other, word in table.items()}
    plain = [
        None if w is None or str(w).strip() == "" else lower.get(str(w).strip().lower(), str(w).strip().lower()) for w in words
    ]
    names = classes or tuple(sorted({w for w in plain if w is not None}))
    if unknown := sorted({w for w in plain if w is not None} - set(names)):
        raise DataError(
            f"label words of target '{name}' name no class",
            corpus=corpus,
            expected=", ".join(names),
            found=", ".join(unknown[:8]),
            hint=f"map them with option `words`, e.g. words={unknown[0]}={names[0]}",
        )
    return Target(name, "classification", names), np.array([-1 if w is None else names.index(w) for w in plain], np.float64)


def number_targets(
    corpus: str,
    name: str,
    table: NDArray[np.float64],
    *,
    columns: Sequence[str],
    scale: tuple[float, float] | None,
    usual: tuple[float, float],
    ids: Sequence[str],
) -> list[Labelled]:
    """Return the targets of a table of numbers.

    Args:
        corpus: for errors.
        name: of the target, or the start of the names of several targets.
        table: (N, C) values, or (N, K, 2) one-hot pairs (K yes-or-no labels).
        columns: names of the classes or values; empty = numbered.
        scale: declared range of scores.
        usual: range of scores of the format.
        ids: N utterance ids.

    Returns:
        One score (C = 1), one classification (one-hot rows, C > 1), C scores, or K classifications.

    Raises:
        DataError: a score is out of range, or the names do not fit the columns.
    """
    axes = table.shape[1:]
    n_names = axes[0]
    if len(axes) > 2 or (len(axes) == 2 and axes[1] != 2) or (columns and len(columns) != n_names):
        raise DataError(
            f"labels '{name}' have an unknown shape" if not columns else f"option `columns` does not fit labels '{name}'",
            corpus=corpus,
            expected="(N,), (N, columns) or (N, labels, 2)" if not columns else f"{n_names} names",
            found=table.shape if not columns else f"{len(columns)} names",
        )
    names = tuple(columns) or tuple(f"class-{c}" for c in range(n_names))
    if len(axes) == 2:
        titles = tuple(columns) or tuple(f"{name}-{c}" for c in range(n_names))
        return [(Target(slug(t), "classification", ("no", "yes")), table[:, c].argmax(axis=1)) for c, t in enumerate(titles)]
    if n_names > 1 and ((table == 0) | (table == 1)).all() and (table.sum(axis=1) == 1).all():
        return [(Target(slug(name), "classification", names), table.argmax(axis=1).astype(np.float64))]
    titles = tuple(columns) or ((name,) if n_names == 1 else tuple(f"{name}-{c}" for c in range(n_names)))
    return [score_target(corpus, slug(t), table[:, c], scale=scale, usual=usual, ids=ids) for c, t in enumerate(titles)]


def multi_label_targets(name: str, rows: Sequence[Sequence[str] | None], classes: Sequence[str] = ()) -> list[Labelled]:
    """Return the targets of several labels an utterance.

    Lacuna has no loss over sets of labels. They are read in two ways that keep all information: as shares (each of k labels of an
    utterance has the share 1/k; an utterance without any label is unlabelled), and one-vs-rest, as one target (no, yes) for each
    label (an utterance without any label has ``no`` in each).

    Args:
        name: of the target of shares, and start of the names of the others.
        rows: N lists of label words; ``None`` = unlabelled.
        classes: in order; empty = the words that occur, sorted.

    Returns:
        The target ``name`` of shares, and ``name-<word>`` for each word.

    Example:
        >>> [(t.name, v.tolist()) for t, v in multi_label_targets("mood", [["joy", "fear"], ["joy"]])]
        [('mood', [[0.5, 0.5], [0.0, 1.0]]), ('mood-fear', [1.0, 0.0]), ('mood-joy', [1.0, 1.0])]
    """
    names = tuple(classes) or tuple(sorted({str(word) for row in rows for word in row or ()}))
    table = np.array([[float("nan") if row is None else float(c in row) for c in names] for row in rows])  # (N, C)
    return binary_targets(name, names, table)


def binary_targets(name: str, names: Sequence[str], table: NDArray[np.float64]) -> list[Labelled]:
    """Return shares and one-vs-rest targets of an (N, C) table of 0, 1 and NaN (unlabelled), see :func:`multi_label_targets`."""
    total = table.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, table / np.where(total > 0, total, 1), np.nan)
    single = [
        (Target(f"{name}-{slug(c)}", "classification", ("no", "yes")), np.where(np.isnan(table[:, i]), -1, table[:, i]))
        for i, c in enumerate(names)
    ]
    return [(Target(name, "soft", tuple(names)), shares), *single]
