"""Additive counts: the sufficient statistics of every metric, summed by dialogue."""

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
MOST_CLASSES = 64  # with more classes no confusion matrix is counted: it would need C * C numbers for every dialogue and mask
HIGH = (0.96, 0.98, 0.99, 0.995, 0.999)  # further edges inside the last bin, in which overconfident models put most answers


def is_sentiment(target: Target) -> bool:
    """Return whether the target has the scale of MOSI and MOSEI, -3 to 3; Acc2, Acc5 and Acc7 are defined on this scale only."""
    return target.task == "regression" and (target.low, target.high) == (-3, 3)


def has_confusion(target: Target) -> bool:
    """Return whether counts hold the confusion matrix: there are classes, and at most :data:`MOST_CLASSES`."""
    return target.task != "regression" and len(target.classes) <= MOST_CLASSES


@cache
def columns(target: Target) -> dict[str, tuple[slice, tuple[int, ...]]]:
    """Return the columns and the shape of each statistic in a row of counts.

    Classification: ``n``; ``confusion`` (C, C), rows are the true class, or with more than :data:`MOST_CLASSES` classes only its
    diagonal and sums ``hits``, ``truth``, ``predicted`` (C,); ``bins`` (15, 3): number of utterances whose top-1
    confidence lies in the bin, number of correct ones, sum of the confidences; ``high`` (6, 2): the first two of these for the
    parts of the last bin between the edges ``HIGH``; ``log_loss`` in nats; ``brier``, the squared distance between predicted
    probabilities and one-hot truth.
    Soft labels: the same with the most probable class as the truth (the first one if several are equal), and the sums of
    ``cross_entropy`` to the label, ``entropy`` of the label and ``jensen_shannon`` divergence, in nats.
    Regression, with label y and prediction p: ``n``; sums of ``y``, ``p``, ``yy``, ``pp``, ``yp`` about the middle of the scale
    (about 0 if it has no bounds); ``absolute`` and ``squared`` errors. On the -3..3 scale also ``has0`` (2, 2): y >= 0 against
    p >= 0; ``non0`` (2, 2): y > 0 against p > 0 without y = 0; ``same5`` and ``same7``: equal after clipping to +-2 or +-3 and
    rounding half to even.

    Example:
        >>> columns(Target("mood", "classification", ("low", "high")))["confusion"]
        (slice(1, 5, None), (2, 2))
    """
    c = len(target.classes)
    shapes: dict[str, tuple[int, ...]] = {"n": ()}
    if target.task == "regression":
        shapes |= dict.fromkeys(("y", "p", "yy", "pp", "yp", "absolute", "squared"), ())
        if is_sentiment(target):
            shapes |= {"has0": (2, 2), "non0": (2, 2), "same5": (), "same7": ()}
    else:
        shapes |= {"confusion": (c, c)} if has_confusion(target) else dict.fromkeys(("hits", "truth", "predicted"), (c,))
        shapes |= {"bins": (BINS, 3), "high": (len(HIGH) + 1, 2), "log_loss": (), "brier": ()}
        if target.task == "soft":
            shapes |= dict.fromkeys(("cross_entropy", "entropy", "jensen_shannon"), ())
    where, low = {}, 0
    for name, shape in shapes.items():
        high = low + int(np.prod(shape))
        where[name], low = (slice(low, high), shape), high
    return where


def width(target: Target) -> int:
    """Return the number of columns K of a row of counts."""
    return max(int(where.stop) for where, _ in columns(target).values())


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums of statistics over utterances. A weighted sum of counts over dialogues is again counts: one bootstrap replicate.

    Attributes:
        target: what was predicted; it determines the columns, see :func:`columns`.
        values: (..., K) float64.
    """

    target: Target
    values: Array

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.target, self.values + other.values)

    def part(self, name: str) -> Array:
        """Return one statistic: (..., *shape) float64."""
        where, shape = columns(self.target)[name]
        return self.values[..., where].reshape((*self.values.shape[:-1], *shape))  # (..., prod(shape)) -> (..., *shape)

    def pooled(self) -> Counts:
        """Return the counts summed over dialogues: (..., D, K) -> (..., K)."""
        return Counts(self.target, self.values.sum(axis=-2))

    @cached_property
    def hits(self) -> Array:
        """(..., C) correctly predicted utterances of each class."""
        if not has_confusion(self.target):
            return self.part("hits")
        return np.diagonal(self.part("confusion"), axis1=-2, axis2=-1)

    @cached_property
    def truth(self) -> Array:
        """(..., C) utterances of each class."""
        return np.asarray(self.part("confusion").sum(axis=-1)) if has_confusion(self.target) else self.part("truth")

    @cached_property
    def predicted(self) -> Array:
        """(..., C) utterances predicted as each class."""
        return np.asarray(self.part("confusion").sum(axis=-2)) if has_confusion(self.target) else self.part("predicted")


def count(target: Target, logits: NDArray[np.floating], labels: Labels, dialogue: NDArray[np.int64], dialogues: int) -> Counts:
    """Return the counts of a batch by dialogue; unlabelled utterances (-1 or NaN) are left out.

    Args:
        target: what is predicted.
        logits: (U, C) unnormalised log-probabilities, or (U, 1) predicted values.
        labels: (U,) int64 classes, (U, C) float32 soft labels or (U,) float32 values.
        dialogue: (U,) int64 row of the result that each utterance is added to, from 0 to D - 1.
        dialogues: number of rows D.

    Returns:
        Counts of shape (D, K). The counts of a split are the sum of the counts of its batches, whatever the batch size.

    Raises:
        DataError: shapes do not fit the target, a label is no class of the target, or a prediction is not finite.

    Example:
        >>> target = Target("mood", "classification", ("low", "high"))
        >>> logits, labels = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 1, 1])
        >>> count(target, logits, labels, np.zeros(3, np.int64), 1).part("confusion")[0].tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    if logits.shape != (len(labels), target.width):
        expected = f"shape {(len(labels), target.width)} for target '{target.name}'"
        raise DataError("the predictions do not fit the target", expected=expected, found=f"shape {logits.shape}")
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise DataError(
            f"predictions of target '{target.name}' are not finite",
            expected="finite numbers for every utterance",
            found=f"NaN or inf for {bad} of {len(logits)} utterances",
            hint="train again with a smaller learning rate, or look for extreme features",
        )
    known = labelled(target, labels)
    accumulator = _Accumulator(target, dialogue[known], dialogues)
    predictions = logits[known].astype(np.float64)
    if target.task == "regression":
        _count_values(accumulator, predictions[:, 0], labels[known].astype(np.float64))
    else:
        _count_classes(accumulator, predictions, labels[known])
    return accumulator.counts()


class _Accumulator:
    """Collect (column, weight) pairs of utterances and sum them by dialogue at the end."""

    def __init__(self, target: Target, dialogue: NDArray[np.int64], dialogues: int) -> None:
        self.target, self.dialogues, self.width = target, dialogues, width(target)
        self.row = dialogue * self.width
        self.cells: list[NDArray[np.int64]] = []
        self.weights: list[Array] = []
        self.add("n", 1.0)

    def add(self, name: str, weight: Array | NDArray[np.bool_] | float, cell: NDArray[np.int64] | int = 0) -> None:
        """Add weights (U,) to cells (U,) of a statistic; a cell is an index into the flattened statistic."""
        self.cells.append(self.row + columns(self.target)[name][0].start + cell)
        self.weights.append(np.broadcast_to(np.asarray(weight, np.float64), self.row.shape))

    def counts(self) -> Counts:
        cells, weights = np.concatenate(self.cells), np.concatenate(self.weights)
        sums = np.bincount(cells, weights, self.dialogues * self.width).astype(np.float64)
        return Counts(self.target, sums.reshape(self.dialogues, self.width))  # (D*K,) -> (D, K)


def _count_classes(accumulator: _Accumulator, logits: Array, labels: Labels) -> None:
    target, c = accumulator.target, accumulator.target.width
    truth = labels.argmax(axis=1) if target.task == "soft" else labels.astype(np.int64)
    if truth.size and truth.max() >= c:
        expected = f"codes 0 to {c - 1} for target '{target.name}'"
        raise DataError("a label is no class of the target", expected=expected, found=int(truth.max()))
    log_p = log_softmax(logits)  # (U, C)
    predicted = log_p.argmax(axis=1)
    confidence = np.exp(log_p.max(axis=1))
    if has_confusion(target):
        accumulator.add("confusion", 1.0, truth * c + predicted)
    else:
        accumulator.add("hits", truth == predicted, truth)
        accumulator.add("truth", 1.0, truth)
        accumulator.add("predicted", 1.0, predicted)
    bin_ = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)  # (low, high]
    for column, weight in enumerate((np.ones(len(truth)), predicted == truth, confidence)):
        accumulator.add("bins", weight, bin_ * 3 + column)
    part = np.searchsorted(HIGH, confidence)  # (low, high], like the bins
    for column, weight in enumerate((bin_ == BINS - 1, (predicted == truth) & (bin_ == BINS - 1))):
        accumulator.add("high", weight, part * 2 + column)
    accumulator.add("log_loss", -log_p[np.arange(len(truth)), truth])
    true_p = labels.astype(np.float64) if target.task == "soft" else np.eye(c)[truth]
    accumulator.add("brier", np.square(np.exp(log_p) - true_p).sum(axis=1))
    if target.task == "soft":
        p = np.exp(log_p)
        mixture = (p + true_p) / 2
        accumulator.add("cross_entropy", -(true_p * log_p).sum(axis=1))
        accumulator.add("entropy", _entropy(true_p))
        accumulator.add("jensen_shannon", _entropy(mixture) - (_entropy(p) + _entropy(true_p)) / 2)


def _count_values(accumulator: _Accumulator, p: Array, y: Array) -> None:
    target = accumulator.target
    middle = 0.0 if target.low is None or target.high is None else (target.low + target.high) / 2
    error = p - y
    yc, pc = y - middle, p - middle
    sums = {"y": yc, "p": pc, "yy": yc * yc, "pp": pc * pc, "yp": yc * pc, "absolute": np.abs(error), "squared": error * error}
    for name, weight in sums.items():
        accumulator.add(name, weight)
    if is_sentiment(target):
        accumulator.add("has0", 1.0, (y >= 0) * 2 + (p >= 0).astype(np.int64))
        accumulator.add("non0", y != 0, (y > 0) * 2 + (p > 0).astype(np.int64))
        for steps in (2, 3):
            same = np.round(np.clip(y, -steps, steps)) == np.round(np.clip(p, -steps, steps))
            accumulator.add(f"same{2 * steps + 1}", same)


def labelled(target: Target, labels: Labels) -> NDArray[np.bool_]:
    """Return which utterances are labelled: (U, ...) -> (U,) bool.

    Example:
        >>> labelled(Target("mood", "classification", ("low", "high")), np.array([0, -1, 1])).tolist()
        [True, False, True]
    """
    known = labels >= 0 if target.task == "classification" else np.isfinite(labels)
    return np.asarray(known.all(axis=1) if known.ndim == 2 else known)


def log_softmax(logits: Array) -> Array:
    """Return the log-probabilities of (U, C) float64 logits, without overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _entropy(p: Array) -> Array:
    """Return the entropy of each row in nats, with 0 log 0 = 0: (U, C) -> (U,)."""
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1))).sum(axis=1))


def baseline_counts(
    target: Target, training_labels: Labels, labels: Labels, dialogue: NDArray[np.int64], dialogues: int
) -> Counts:
    """Return the counts of the majority-class baseline (classification) or the mean baseline (regression).

    The baseline predicts the same for every utterance: the class frequencies of training with one pseudo-count a class, or the
    mean training value. The model ``prior`` predicts the same; every table has the baseline whether or not ``prior`` was trained.

    Args:
        target: what is predicted.
        training_labels: (N, ...) labels of the training split.
        labels: (U, ...) labels to score on.
        dialogue: (U,) int64 as in :func:`count`.
        dialogues: number of rows D.

    Returns:
        Counts of shape (D, K).

    Raises:
        DataError: no training utterance is labelled.

    Example:
        >>> target = Target("mood", "classification", ("low", "high"))
        >>> counts = baseline_counts(target, np.array([1, 1, 0]), np.array([0, 1]), np.zeros(2, np.int64), 1)
        >>> counts.part("confusion")[0].tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    known = training_labels[labelled(target, training_labels)]
    if not len(known):
        raise DataError(f"no training utterance is labelled for target '{target.name}'", hint="choose another target")
    if target.task == "regression":
        logits = np.array([known.mean(dtype=np.float64)])
    else:
        shares = np.eye(target.width)[known.astype(np.int64)] if target.task == "classification" else known
        logits = np.log((shares.sum(axis=0, dtype=np.float64) + 1) / (len(known) + target.width))
    return count(
        target, np.tile(logits.astype(np.float32), (len(labels), 1)), labels, dialogue, dialogues
    )  # float32 as of models
