"""Balanced sampling: how often utterances or dialogues are drawn, so that rare classes are seen as often as frequent ones.

Source: class-balanced sampling as in MEDUSA (arXiv 2506.09556). Decided here: unlabelled utterances keep their share, and
dialogues are drawn as a whole.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Labels, has_label
from lacuna.corpus.schema import Target

Floats = NDArray[np.float64]


def utterance_weights(target: Target, labels: Labels) -> Floats:
    r"""Return the probability of each utterance in a draw, (N,) float64, with the sum 1.

    Of hard labels, each of the C classes that occur has the same probability in total. An unlabelled utterance has the
    probability 1 / N, as without weights: models that learn to recover need it, too. With shares, an utterance weighs
    :math:`\sum_c y_c / n_c`, n_c = the sum of the shares of class c.

    Args:
        target: classes or shares.
        labels: (N,) int64 with -1 = unlabelled, or (N, C) float32 with NaN = unlabelled.

    >>> utterance_weights(Target("emotion", "classification", ("a", "b")), np.array([0, 0, 0, 1, -1])).round(3).tolist()
    [0.133, 0.133, 0.133, 0.4, 0.2]
    """
    values: NDArray[Any] = np.asarray(labels)
    known = has_label(target, values)
    shares = np.eye(target.width)[values[known]] if target.task == "classification" else values[known].astype(np.float64)
    n = shares.sum(axis=0)
    weights = np.full(len(values), 1 / len(values))
    of_labelled = shares @ np.divide(1, n, out=np.zeros_like(n), where=n > 0)
    weights[known] = of_labelled / of_labelled.sum() * known.mean()
    return weights


def dialogue_weights(weights: Floats, start: NDArray[np.int64], count: NDArray[np.int64]) -> Floats:
    """Return the probability of each dialogue in a draw, (D,) float64: the mean weight of its utterances, scaled to the sum 1.

    Classes are then more equal than in the corpus, not equal: the frequent classes come along with the rare ones.

    Args:
        weights: (N,) of the utterances.
        start: (D,) first row of each dialogue.
        count: (D,) its number of rows.
    """
    means = np.add.reduceat(weights, start) / count
    return np.asarray(means / means.sum())


def draw(weights: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return as many draws with replacement as there are weights, (N,) int64."""
    return generator.choice(len(weights), size=len(weights), p=weights)


def apart(drawn: NDArray[np.int64], count: NDArray[np.int64], size: int) -> list[list[int]]:
    """Return the draws in batches, none with a dialogue twice: two copies in one batch would be read as one dialogue.

    Args:
        drawn: (D,) int64 dialogues in the order of their draw; one that is in the batch already waits for the next batch.
        count: (D,) utterances of each dialogue.
        size: utterances in a batch; the last dialogue that starts within it is completed.
    """
    waiting, batches = deque(drawn.tolist()), []
    while waiting:
        batch: list[int] = []
        later: list[int] = []
        taken, n_rows = set[int](), 0
        while waiting and n_rows < size:
            dialogue = waiting.popleft()
            if dialogue in taken:
                later.append(dialogue)
                continue
            batch.append(dialogue)
            taken.add(dialogue)
            n_rows += int(count[dialogue])
        waiting.extendleft(reversed(later))
        batches.append(batch)
    return batches
