"""Targets that are computed from ratings or other labels, and added to a corpus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

DISAGREEMENT = Target("disagreement", "classification", ("seen", "hidden"))


def add_target(corpus: Corpus, target: Target, labels: Labels) -> Corpus:
    """Return the corpus with one more target, the last one.

    Args:
        corpus: without a target of this name.
        target: its description.
        labels: (N,) int64 with -1 = unlabelled | (N,) float32 | (N, C) float32 with NaN = unlabelled, in row order.

    Raises:
        DataError: the corpus has the target, or the labels have another shape.
    """
    if target.name in {t.name for t in corpus.targets}:
        raise DataError(f"target '{target.name}' is there already", corpus=corpus.name, hint="give the new target another name")
    kind: type[np.generic] = np.int64 if target.task == "classification" else np.float32
    values = np.asarray(labels, kind)
    shape = (len(corpus), target.width) if target.task == "soft" else (len(corpus),)
    if values.shape != shape:
        raise DataError(
            f"labels of target '{target.name}' have the wrong shape",
            corpus=corpus.name,
            expected=shape,
            found=values.shape,
            hint="give one label for each utterance, in row order",
        )
    added = replace(corpus.utterances, labels={**corpus.utterances.labels, target.name: values})
    return replace(corpus, targets=(*corpus.targets, target), utterances=added, digest=None, place=None)


def disagreement(writer: NDArray[np.float32], readers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return where a writer has an emotion that no reader sees, labels of :data:`DISAGREEMENT`: (N,) int64.

    1 = the writer has the emotion and no reader sees it ("hidden anger"), 0 = otherwise, -1 = the writer gave no rating, or the
    answer depends on readers and none of them rated. Source: arXiv 2208.14244 (BCE and AUC there; cross-entropy of two classes is
    the same loss).

    Args:
        writer: (N,) 1 = has the emotion, 0 = has not; NaN = unknown.
        readers: (N, R) 1 = sees the emotion, 0 = does not; NaN = did not rate.

    >>> disagreement(np.array([1, 1, 0, 1]), np.array([[0, 0], [0, 1], [0, 0], [np.nan, np.nan]])).tolist()
    [1, 0, 0, -1]
    """
    has, rated = writer == 1, np.isfinite(readers).any(axis=1)
    seen = (readers == 1).any(axis=1)
    unknown = np.isnan(writer) | (has & ~rated)
    return np.where(unknown, -1, (has & ~seen).astype(np.int64))
