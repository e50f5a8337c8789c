"""Check whether features were fitted on the labels of the training split; the labels of the test are not read.

A linear probe is trained on each modality, with cross-validation by dialogue inside the training split. Its margin is the largest
output minus the second largest one. On features that were fitted on nothing, the mean margin in held-out training dialogues and
on the test agree. Features that a network learned from the training labels separate the classes of all training dialogues, those
that the probe holds out too, and less so those of the test: the margin drops. See ``docs/explanation/contamination.md``.

Reference: the difference of confidences (Guillory et al., Predicting with Confidence on Unseen Distributions, ICCV 2021), with
margins, because a confidence near 1 cannot show the drop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import SPLITS

DROP = 0.05  # smallest drop of the margin that is reported
ERRORS = 4.0  # and the smallest number of its standard errors
FOLDS = 5
_UTTERANCES, _DIALOGUES = (30, 10), (5, 3)  # of train and test; fewer are not checked
_MOST = (4000, 2000)  # utterances of train and test that are read
_WIDEST = 512  # wider features are projected at random
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # ridge penalty as a share of the variance of a column

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class ProbeCheck:
    """The result of the check for one modality.

    Attributes:
        modality: its name.
        accuracy: of the probe in held-out dialogues of the training split, in [0, 1].
        train_margin: mean margin of the probe there, in [0, 1].
        test_margin: mean margin of the probe on the test split.
        error: standard error of the difference of the two margins, with dialogues as units.
        n_train: training utterances that were read.
        n_test: test utterances that were read.
    """

    modality: str
    accuracy: float
    train_margin: float
    test_margin: float
    error: float
    n_train: int
    n_test: int

    @property
    def drop(self) -> float:
        """Margin in held-out training dialogues minus margin on the test."""
        return self.train_margin - self.test_margin

    @property
    def fitted(self) -> bool:
        """Whether the features look fitted on the training labels."""
        return self.drop >= DROP and self.drop >= ERRORS * self.error

    def warning(self) -> str:
        """Return the finding in words."""
        return (
            f"modality '{self.modality}': these features look fitted on the training labels; validation on this corpus cannot "
            f"choose (a linear probe has accuracy {self.accuracy:.2f} in held-out dialogues of the training split, and its mean "
            f"margin drops from {self.train_margin:.2f} there to {self.test_margin:.2f} on the test)\n"
            "do: use features that were fitted on other data, or leave the modality out"
        )


def check_contamination(corpus: Corpus, target: str | None = None) -> list[ProbeCheck]:
    """Return the check of each modality of a corpus that has training and test data.

    Args:
        corpus: with splits; of a large one, 4,000 training and 2,000 test utterances are read, evenly spaced.
        target: whose labels are probed; values are divided at their median, shares count as their largest class. By default
            the first target.

    Returns:
        One entry for each modality with at least 30 labelled training utterances in 5 dialogues and 10 test utterances in 3
        dialogues; empty if there is no target.
    """
    if not corpus.targets:
        return []
    split, labelled = corpus.utterances.split, corpus.labelled(target)
    train_rows = _thinned(np.flatnonzero((split == SPLITS.index("train")) & labelled), _MOST[0])
    test_rows = _thinned(np.flatnonzero(split == SPLITS.index("test")), _MOST[1])
    labels = _classes(np.asarray(corpus.utterances.labels[corpus.target(target).name][train_rows]))
    checks = []
    for modality in corpus.modalities:
        train, kept = frame_means(corpus, modality.name, train_rows)
        test, kept_test = frame_means(corpus, modality.name, test_rows)
        groups, test_groups = (corpus.utterances.dialogue[rows] for rows in (train_rows[kept], test_rows[kept_test]))
        check = probe(modality.name, train, labels[kept], groups, test=test, test_groups=test_groups)
        checks += [check] if check is not None else []
    return checks


def probe(name: str, train: Array, labels: Codes, groups: Codes, *, test: Array, test_groups: Codes) -> ProbeCheck | None:
    """Return the check of one modality.

    Args:
        name: of the modality.
        train: (N, d) features of the training split.
        labels: (N,) classes.
        groups: (N,) dialogues.
        test: (M, d) features of the test split.
        test_groups: (M,) dialogues.

    Returns:
        The check, or ``None`` if there are too few utterances, dialogues or classes.
    """
    few = any(len(np.unique(g)) < least for g, least in zip((groups, test_groups), _DIALOGUES, strict=True))
    if few or len(train) < _UTTERANCES[0] or len(test) < _UTTERANCES[1] or len(np.unique(labels)) < 2:
        return None
    codes = np.unique(labels, return_inverse=True)[1]
    train, test = _standardised(train, test)
    one_hot = np.eye(codes.max() + 1)[codes]  # (N, C)
    outputs, test_outputs = _held_out(train, one_hot, folds_of(groups), test)
    best = int(np.square(outputs - one_hot).mean(axis=(1, 2)).argmin())
    margins, test_margins = _margins(outputs[best]), _margins(test_outputs[best]).mean(axis=0)  # (N,) and (M,)
    return ProbeCheck(
        name,
        float((outputs[best].argmax(axis=1) == codes).mean()),
        float(margins.mean()),
        float(test_margins.mean()),
        float(np.hypot(_standard_error(margins, groups), _standard_error(test_margins, test_groups))),
        len(train),
        len(test),
    )


def _held_out(train: Array, one_hot: Array, fold: Codes, test: Array) -> tuple[Array, Array]:
    """Return the outputs of ridge regressions on one-hot classes.

    Returns:
        (S, N, C) outputs in held-out folds for each strength, and (S, K, M, C) outputs on the test of each fold's regression.
    """
    outputs = np.zeros((len(_STRENGTHS), *one_hot.shape))
    test_outputs = np.zeros((len(_STRENGTHS), FOLDS, len(test), one_hot.shape[1]))
    for number in range(FOLDS):
        held = fold == number
        mean, share = train[~held].mean(axis=0), one_hot[~held].mean(axis=0)
        centred = train[~held] - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        moments = vectors.T @ (centred.T @ (one_hot[~held] - share)) / len(centred)  # (d, C)
        for row, strength in enumerate(_STRENGTHS):
            weights = vectors @ (moments / (np.maximum(values, 0) + strength)[:, None])  # (d, C)
            outputs[row, held] = (train[held] - mean) @ weights + share
            test_outputs[row, number] = (test - mean) @ weights + share
    return outputs, test_outputs


def _standardised(train: Array, test: Array) -> tuple[Array, Array]:
    """Return both with mean 0 and variance 1 in training; columns beyond ``_WIDEST`` are projected at random."""
    scale = train.std(axis=0)
    varies = scale > 1e-9 * (1 + np.abs(train).max(axis=0))
    mean, scale = train[:, varies].mean(axis=0), scale[varies]
    train, test = (train[:, varies] - mean) / scale, (test[:, varies] - mean) / scale
    if train.shape[1] > _WIDEST:
        directions = np.random.default_rng(0).normal(size=(train.shape[1], _WIDEST)) / np.sqrt(train.shape[1])
        train, test = train @ directions, test @ directions
    return train, test


def frame_means(corpus: Corpus, modality: str, rows: Codes) -> tuple[Array, NDArray[np.bool_]]:
    """Return the means over the observed frames, and which of the rows have one: (K, d) and (R,) bool."""
    frames = corpus.frames[modality]
    means, kept = [], np.zeros(len(rows), np.bool_)
    for place, row in enumerate(rows):
        values = frames.of(row)
        if frames.observed is not None:
            values = values[frames.observed[frames.start[row] : frames.start[row] + frames.count[row]]]
        if len(values) and np.isfinite(values).all():
            kept[place] = True
            means.append(values.mean(axis=0, dtype=np.float64))
    return np.stack(means) if means else np.zeros((0, frames.values.shape[1])), kept


def _classes(labels: NDArray[np.generic]) -> Codes:
    """Return a class of each label: itself, the largest share, or the side of the median."""
    if labels.ndim == 2:
        return np.asarray(labels.argmax(axis=1), np.int64)
    if np.issubdtype(labels.dtype, np.integer):
        return labels.astype(np.int64)
    values = labels.astype(np.float64)
    return np.asarray(values > np.median(values), np.int64) if len(values) else np.zeros(0, np.int64)


def _thinned(rows: Codes, most: int) -> Codes:
    """Return at most ``most`` of the rows, evenly spaced."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def folds_of(groups: Codes) -> Codes:
    """Return the fold of each utterance, (N,): each dialogue, the largest first, goes to the smallest fold."""
    dialogue, size = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    fold, total = np.zeros(len(size), np.int64), np.zeros(FOLDS)
    for code in np.argsort(-size, kind="stable"):
        fold[code] = total.argmin()
        total[fold[code]] += size[code]
    return np.asarray(fold[dialogue])


def _margins(outputs: Array) -> Array:
    """Return the largest minus the second largest of the last axis, at most 1: one extreme utterance must not decide."""
    two = np.partition(outputs, -2, axis=-1)[..., -2:]
    return np.minimum(two[..., 1] - two[..., 0], 1.0)


def _standard_error(values: Array, groups: Codes) -> float:
    """Return the standard error of the mean of ``values`` (N,) if dialogues are independent, utterances of one are not."""
    totals = np.bincount(np.unique(groups, return_inverse=True)[1], values - values.mean())
    return float(np.sqrt(np.square(totals).sum() * len(totals) / (len(totals) - 1)) / len(values))
