"""Compound emotions from probabilities of basic ones (9th ABAW, C-EXPR-DB)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, numbers, words
from lacuna.metrics.scores import accuracy, f1_by_class

BASIC = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other")
COMPOUND = {
    "fearfully surprised": ("fear", "surprise"),
    "happily surprised": ("happiness", "surprise"),
    "sadly surprised": ("sadness", "surprise"),
    "disgustedly surprised": ("disgust", "surprise"),
    "angrily surprised": ("anger", "surprise"),
    "sadly fearful": ("sadness", "fear"),
    "sadly angry": ("sadness", "anger"),
}


def pair_scores(values: Array, basic: Sequence[str] = BASIC) -> Array:
    """Return a score of each compound class: the sum of the values of its two basic emotions (PPA).

    PFSA averages cosine similarities between a frame and both emotions instead of summing probabilities [reconstruction]. Half
    the sum has the same largest class, so both mappings are this function on different values.

    Args:
        values: (N, B) float64 probabilities (PPA) or cosine similarities (PFSA) of basic emotions.
        basic: B names, the columns of ``values``.

    Returns:
        (N, 7) float64 in the order of :data:`COMPOUND`.

    Example:
        >>> pair_scores(np.array([[0.0, 0.1, 0.0, 0.2, 0.3, 0.0, 0.4, 0.0]])).round(1).tolist()
        [[0.6, 0.7, 0.4, 0.4, 0.5, 0.2, 0.1]]
    """
    column = {name: index for index, name in enumerate(basic)}
    return np.stack([values[:, column[a]] + values[:, column[b]] for a, b in COMPOUND.values()], axis=1)  # (N, 7)


def window_average(values: Array, times: Array, window: float = 4.0, step: float = 2.0) -> Array:
    """Return the values of each frame averaged over the windows that contain it.

    Windows of ``window`` seconds begin at the first time and every ``step`` seconds after it; each has the mean of its frames. A
    clip shorter than a window has one. The order of averaging is a reconstruction.

    Args:
        values: (N, K) float64.
        times: (N,) float64 seconds, in any order.
        window: length in seconds.
        step: at most ``window``.

    Returns:
        (N, K) float64.

    Example:
        >>> window_average(np.array([[0.0], [1.0], [1.0]]), np.array([0.0, 1.0, 5.0]))[:, 0].tolist()
        [0.5, 0.5, 1.0]
    """
    if not 0 < step <= window:
        raise ConfigError(f"the step of windows lies between 0 and their length {window}, not {step}")
    if not len(times):
        return values
    total, n_windows = np.zeros_like(values), np.zeros(len(times))
    start = times.min()
    while start <= times.max():
        inside = (times >= start) & (times < start + window)
        if inside.any():
            total[inside] += values[inside].mean(axis=0)
            n_windows[inside] += 1
        start += step
    return total / n_windows[:, None]


@protocol(
    "compound",
    title="Compound emotions from basic ones",
    source="Team RAS at the 9th ABAW (arXiv 2507.02205), PPA and PFSA; metric of C-EXPR-DB",
    status="published",
    formula="PPA: argmax over 7 pairs of p_i + p_j; PFSA [reconstruction]: of (cos_i + cos_j) / 2; windows of 4 s every 2 s; "
    "macro-F1 = sum_c F1_c / 7",
    predictions=("id",),
    truth=("id", "label"),
    optional=("p_<basic emotion>", "cos_<basic emotion>", "clip", "time"),
)
def score_compound(
    predictions: pd.DataFrame, truth: pd.DataFrame, *, mapping: str = "ppa", window: float = 4.0, step: float = 2.0
) -> list[ProtocolScore]:
    """Return the macro-F1 over the 7 compound classes, and the accuracy.

    Of equal scores the class that comes first in :data:`COMPOUND` wins. A class that neither occurs nor is predicted has F1 0,
    since the source divides by 7. With columns ``clip`` and ``time`` (seconds), scores of the frames of a clip are averaged
    over windows before the argmax.

    Args:
        predictions: ``id`` and ``p_<basic>`` (``ppa``) or ``cos_<basic>`` (``pfsa``) of anger, disgust, fear, happiness,
            sadness and surprise; optionally ``clip`` and ``time``.
        truth: ``id``, ``label``: a key of :data:`COMPOUND`, in any case.
        mapping: ``ppa`` or ``pfsa``.
        window: length of windows in seconds.
        step: between the beginnings of windows, in seconds.

    Raises:
        ConfigError: the mapping is unknown.
        DataError: a column is missing, a value is not finite, or a label is no compound class.
    """
    if mapping not in ("ppa", "pfsa"):
        raise ConfigError(f"mapping is ppa or pfsa, not {mapping!r}")
    answers = align(predictions, truth)
    prefix = "p_" if mapping == "ppa" else "cos_"
    needed = sorted({name for pair in COMPOUND.values() for name in pair})
    if missing := [f"{prefix}{name}" for name in needed if f"{prefix}{name}" not in answers]:
        raise DataError(f"the predictions have no column '{missing[0]}'", expected=", ".join(prefix + name for name in needed))
    values = np.stack([numbers(answers, f"{prefix}{name}") for name in needed], axis=1)  # (N, 6)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise DataError("a probability is not finite", utterance=words(answers, "id")[row], expected="numbers in every column")
    scores = pair_scores(values, needed)
    if {"clip", "time"} <= set(answers.columns):
        clips, times = np.asarray(words(answers, "clip"), dtype=object), numbers(answers, "time")
        for clip in dict.fromkeys(clips):
            rows = np.flatnonzero(clips == clip)
            scores[rows] = window_average(scores[rows], times[rows], window, step)
    names = list(COMPOUND)
    labels = [label.casefold() for label in words(truth, "label")]
    if unknown := sorted({*labels} - {*names, ""}):
        raise DataError("a label is no compound class", expected=", ".join(names), found=unknown[0])
    counts = class_counts(labels, [names[c] for c in scores.argmax(axis=1)], names)
    n = int(counts.part("n"))
    f1 = float(f1_by_class(counts)[:-1].mean()) if n else float("nan")
    return [ProtocolScore("macro_f1", f1, n), ProtocolScore("accuracy", float(accuracy(counts)), n)]
