"""Additive sufficient statistics: a few numbers a dialogue from which every metric follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Labels
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

Array = NDArray[np.float64]
BINS = 15  # equal-width bins of top-1 confidence, as in Guo et al., ICML 2017 (arXiv 1706.04599)


def is_sentiment(target: Target) -> bool:
    """Whether the scale is that of MOSI and MOSEI, -3 to 3, on which alone Acc2, Acc5 and Acc7 mean something."""
    return target.task == "regression" and (target.low, target.high) == (-3, 3)


@cache
def columns(target: Target) -> dict[str, tuple[slice, tuple[int, ...]]]:
    """Which columns of a row of counts hold what, and in which shape.

    Classification: ``n``; ``confusion`` (C, C), rows are the truth; ``bins`` (15, 3): how many utterances have their top-1
    confidence in the bin, how many of them are right, and the sum of the confidences; ``log_loss``, in nats; ``brier``, the
    squared distance of the probabilities from the truth.
    Soft labels: the same with the most probable class as the truth (the first one of equals), and the sums of
    ``cross_entropy`` to the label, ``entropy`` of the label and ``jensen_shannon`` divergence, in nats.
    Regression: ``n``; sums of ``y``, ``p``, ``yy``, ``pp``, ``yp`` about the middle of the scale (0 if it has none);
    ``absolute`` and ``squared`` errors; on the -3..3 scale also ``has0`` (2, 2): y >= 0 against p >= 0; ``non0`` (2, 2): y > 0
    against p > 0 without y = 0; ``same5`` and ``same7``: equal after clipping to 2 or 3 and rounding half to even.
    """
    c = len(target.classes)
    shapes: dict[str, tuple[int, ...]] = {"n": ()}
    if target.task == "regression":
        shapes |= dict.fromkeys(("y", "p", "yy", "pp", "yp", "absolute", "squared"), ())
        if is_sentiment(target):
            shapes |= {"has0": (2, 2), "non0": (2, 2), "same5": (), "same7": ()}
    else:
        shapes |= {"confusion": (c, c), "bins": (BINS, 3), "log_loss": (), "brier": ()}
        if target.task == "soft":
            shapes |= dict.fromkeys(("cross_entropy", "entropy", "jensen_shannon"), ())
    where, low = {}, 0
    for name, shape in shapes.items():
        high = low + int(np.prod(shape))
        where[name], low = (slice(low, high), shape), high
    return where


def width(target: Target) -> int:
    """Number of columns K of a row of counts."""
    return max(int(where.stop) for where, _ in columns(target).values())


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums over utterances. Sums of sums are again counts, so a weighted sum over dialogues is a bootstrap replicate.

    Attributes:
        target: what was predicted; it fixes the columns, see :func:`columns`.
        values: (..., K) float64.
    """

    target: Target
    values: Array

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.target, self.values + other.values)

    def part(self, name: str) -> Array:
        """One statistic: (..., *shape) float64."""
        where, shape = columns(self.target)[name]
        return self.values[..., where].reshape((*self.values.shape[:-1], *shape))

    def has(self, name: str) -> bool:
        """Whether the target keeps that statistic."""
        return name in columns(self.target)

    def pooled(self) -> Counts:
        """Summed over dialogues: (..., D, K) -> (..., K)."""
        return Counts(self.target, self.values.sum(axis=-2))

    @cached_property
    def hits(self) -> Array:
        """(..., C) utterances of each class that were recognised."""
        return np.diagonal(self.part("confusion"), axis1=-2, axis2=-1)

    @cached_property
    def truth(self) -> Array:
        """(..., C) utterances of each class."""
        return np.asarray(self.part("confusion").sum(axis=-1))

    @cached_property
    def predicted(self) -> Array:
        """(..., C) utterances that were said to be of each class."""
        return np.asarray(self.part("confusion").sum(axis=-2))


def count(target: Target, logits: NDArray[np.floating], labels: Labels, dialogue: NDArray[np.int64], dialogues: int) -> Counts:
    """Count the utterances of a batch; unlabelled ones (-1 or NaN) are left out.

    Args:
        target: what is predicted.
        logits: (U, C) unnormalised log-probabilities, or (U, 1) values.
        labels: (U,) int64 | (U, C) float32 | (U,) float32.
        dialogue: (U,) int64 row of the result to which each utterance counts.
        dialogues: number of rows D.

    Returns:
        Counts of shape (D, K). The counts of a split are the sum of those of its batches, however it was split.

    Raises:
        DataError: shapes do not fit, a label is no class of the target, or an answer is not finite.
    """
    if logits.shape != (len(labels), target.width):
        raise DataError("the answers do not fit the target", expected=(len(labels), target.width), found=logits.shape)
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise DataError(
            "the model gave answers that are not finite",
            expected="finite numbers for every utterance",
            found=f"NaN or inf for {bad} of {len(logits)} utterances",
            hint="train again with a smaller learning rate, or look for extreme features",
        )
    known = labelled(target, labels)
    tally = _Tally(target, dialogue[known], dialogues)
    answers = logits[known].astype(np.float64)
    if target.task == "regression":
        _count_values(tally, answers[:, 0], labels[known].astype(np.float64))
    else:
        _count_classes(tally, answers, labels[known])
    return tally.counts()


class _Tally:
    """Collects (column, weight) pairs of utterances and sums them by dialogue at the end."""

    def __init__(self, target: Target, dialogue: NDArray[np.int64], dialogues: int) -> None:
        self.target, self.dialogues, self.width = target, dialogues, width(target)
        self.row = dialogue * self.width
        self.cells: list[NDArray[np.int64]] = []
        self.weights: list[Array] = []
        self.add("n", 1.0)

    def add(self, name: str, weight: Array | NDArray[np.bool_] | float, cell: NDArray[np.int64] | int = 0) -> None:
        """Add a weight (U,) to cell (U,) of a statistic."""
        self.cells.append(self.row + columns(self.target)[name][0].start + cell)
        self.weights.append(np.broadcast_to(np.asarray(weight, np.float64), self.row.shape))

    def counts(self) -> Counts:
        cells, weights = np.concatenate(self.cells), np.concatenate(self.weights)
        sums = np.bincount(cells, weights, self.dialogues * self.width).astype(np.float64)
        return Counts(self.target, sums.reshape(self.dialogues, self.width))  # (D*K,) -> (D, K)


def _count_classes(tally: _Tally, logits: Array, labels: Labels) -> None:
    target, c = tally.target, tally.target.width
    truth = labels.argmax(axis=1) if target.task == "soft" else labels.astype(np.int64)
    if truth.size and truth.max() >= c:
        raise DataError("a label is no class of the target", expected=f"codes 0..{c - 1}", found=int(truth.max()))
    log_p = log_softmax(logits)  # (U, C)
    predicted = log_p.argmax(axis=1)
    confidence = np.exp(log_p.max(axis=1))
    tally.add("confusion", 1.0, truth * c + predicted)
    bin_ = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)  # (low, high]
    for column, weight in enumerate((np.ones(len(truth)), predicted == truth, confidence)):
        tally.add("bins", weight, bin_ * 3 + column)
    tally.add("log_loss", -log_p[np.arange(len(truth)), truth])
    aim = labels.astype(np.float64) if target.task == "soft" else np.eye(c)[truth]
    tally.add("brier", np.square(np.exp(log_p) - aim).sum(axis=1))
    if target.task == "soft":
        q, p = labels.astype(np.float64), np.exp(log_p)
        middle = (p + q) / 2
        tally.add("cross_entropy", -(q * log_p).sum(axis=1))
        tally.add("entropy", _entropy(q))
        tally.add("jensen_shannon", _entropy(middle) - (_entropy(p) + _entropy(q)) / 2)


def _count_values(tally: _Tally, p: Array, y: Array) -> None:
    target = tally.target
    middle = 0.0 if target.low is None or target.high is None else (target.low + target.high) / 2
    error = p - y
    yc, pc = y - middle, p - middle
    sums = {"y": yc, "p": pc, "yy": yc * yc, "pp": pc * pc, "yp": yc * pc, "absolute": np.abs(error), "squared": error * error}
    for name, weight in sums.items():
        tally.add(name, weight)
    if is_sentiment(target):
        tally.add("has0", 1.0, (y >= 0) * 2 + (p >= 0).astype(np.int64))
        tally.add("non0", y != 0, (y > 0) * 2 + (p > 0).astype(np.int64))
        for steps in (2, 3):
            same = np.round(np.clip(y, -steps, steps)) == np.round(np.clip(p, -steps, steps))
            tally.add(f"same{2 * steps + 1}", same)


def labelled(target: Target, labels: Labels) -> NDArray[np.bool_]:
    """Which of the labels are there: (U, ...) -> (U,) bool."""
    known = labels >= 0 if target.task == "classification" else np.isfinite(labels)
    return np.asarray(known.all(axis=1) if known.ndim == 2 else known)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities of (U, C) logits, without overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _entropy(p: Array) -> Array:
    """Entropy of each row in nats, with 0 log 0 = 0: (U, C) -> (U,)."""
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1))).sum(axis=1))


def constant_counts(
    target: Target, training_labels: Labels, labels: Labels, dialogue: NDArray[np.int64], dialogues: int
) -> Counts:
    """The best answer without looking, scored: class frequencies of training (one pseudo-count a class), or the mean value.

    The same answer as that of the model ``prior``, but part of every table whether or not that model was trained.

    Args:
        target: what is predicted.
        training_labels: labels of the training split.
        labels: (U, ...) labels to score on.
        dialogue: (U,) as in :func:`count`.
        dialogues: number of rows D.

    Returns:
        Counts of shape (D, K).

    Raises:
        DataError: no training utterance is labelled.
    """
    known = training_labels[labelled(target, training_labels)]
    if not len(known):
        raise DataError(f"no training utterance is labelled for target '{target.name}'", hint="choose another target")
    if target.task == "regression":
        answer = np.array([known.mean(dtype=np.float64)])
    else:
        shares = np.eye(target.width)[known.astype(np.int64)] if target.task == "classification" else known
        answer = np.log((shares.sum(axis=0, dtype=np.float64) + 1) / (len(known) + target.width))
    return count(target, np.tile(answer.astype(np.float32), (len(labels), 1)), labels, dialogue, dialogues)  # as models answer
