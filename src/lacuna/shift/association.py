r"""The association of words with labels, and the divergence of two sets of utterances in it.

In a set :math:`S`, :math:`p_S(w|y)` is the share of utterances of class :math:`y` that contain the word :math:`w`. A Dirichlet
prior pulls it towards the word's share in the whole corpus, :math:`\pi_w`. The prior has :math:`\kappa` times the weight of the
utterances of the class:

.. math:: \tilde p_S(w|y) = \frac{p_S(w|y) + \kappa\,\pi_w}{1 + \kappa}

The association is the log-odds ratio of the class against the mean of the others,

.. math:: \delta_S(y,w) = \operatorname{logit} \tilde p_S(w|y)
          - \operatorname{logit} \tfrac{1}{C-1}\textstyle\sum_{z\ne y}\tilde p_S(w|z),

and the divergence of two sets is the mean of its squared difference, with equal weights of classes and words weighted by their
frequency:

.. math:: D(A,B) = \sum_w \frac{\pi_w}{\sum_v \pi_v} \frac1C \sum_y \big(\delta_A(y,w) - \delta_B(y,w)\big)^2 \ge 0.

It is symmetric, and 0 if and only if both sets have the same association. It does not depend on the sizes of classes (each class
has its own denominator, and the prior grows with the class) or of the sets. In small sets chance makes it larger, so it is
compared with random splits of the same sizes. Its root is in nats: the typical difference in log-odds.
:mod:`lacuna.models.wrappers.words` tests single words in the same way (Monroe, Colaresi & Quinn, Political Analysis 2008), with a
prior of fixed weight, which shrinks a small class more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import has_label
from lacuna.corpus.schema import Target
from lacuna.shift.words import UtteranceWords

Array = NDArray[np.float64]
PRIOR = 0.2  # kappa: for a word expected in 5 utterances of a part and two classes, the usual correction by half an utterance
_THIRDS = 3


@dataclass(frozen=True, eq=False)
class WordCounts:
    """Counts of a set of utterances. The counts of disjoint sets add up.

    Attributes:
        words: (C, V) float64 number of utterances of each class that contain each word.
        utterances: (C,) float64 number of utterances of each class.
    """

    words: Array
    utterances: Array

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(self.words + other.words, self.utterances + other.utterances)

    def __sub__(self, other: WordCounts) -> WordCounts:
        return WordCounts(self.words - other.words, self.utterances - other.utterances)


def strata_of(target: Target, labels: NDArray[np.int64] | NDArray[np.float32]) -> tuple[NDArray[np.int64], int]:
    """Return the class of each utterance, for any kind of target.

    Args:
        target: of the labels.
        labels: (N,) class codes; (N, C) shares, of which the largest counts; or (N,) scores, which are cut into thirds.

    Returns:
        (N,) int64 class codes with -1 = unlabelled, and the number of classes.
    """
    if target.task == "classification":
        return np.asarray(labels, np.int64), len(target.classes)
    if target.task == "soft":
        known = has_label(target, labels)
        return np.where(known, np.where(known[:, None], labels, 0).argmax(axis=1), -1), len(target.classes)
    known = has_label(target, labels)
    cuts = np.quantile(labels[known], np.arange(1, _THIRDS) / _THIRDS) if known.any() else np.zeros(_THIRDS - 1)
    return np.where(known, np.searchsorted(cuts, np.where(known, labels, 0)), -1), _THIRDS


def count_words(
    words: UtteranceWords, strata: NDArray[np.int64], n_classes: int, rows: NDArray[np.int64] | None = None
) -> WordCounts:
    """Count the words of some utterances by class; unlabelled utterances are not counted.

    Args:
        words: words of N utterances.
        strata: (N,) int64 classes, -1 = unlabelled.
        n_classes: number of classes C.
        rows: (R,) int64 row numbers of the utterances; all by default.
    """
    chosen = strata >= 0
    if rows is not None:
        inside = np.zeros(len(strata), bool)
        inside[rows] = True
        chosen = chosen & inside
    vocabulary = len(words.names)
    kept = chosen[words.row]
    cells = strata[words.row[kept]] * vocabulary + words.word[kept]
    counts = np.bincount(cells, minlength=n_classes * vocabulary).astype(np.float64)
    sizes = np.bincount(strata[chosen], minlength=n_classes).astype(np.float64)
    return WordCounts(counts.reshape(n_classes, vocabulary), sizes)  # (C*V,) -> (C, V)


def word_shares(whole: WordCounts) -> Array:
    """Return the share of utterances with each word in the whole corpus: (V,) float64, classes weighted equally.

    It is the prior of every set.
    """
    occurs = whole.utterances > 0
    return np.asarray((whole.words[occurs] / whole.utterances[occurs, None]).mean(axis=0))


def log_odds(counts: WordCounts, share: Array, prior: float = PRIOR) -> Array:
    """Return the association of each word with each class; the formula is in the docstring of the module.

    Args:
        counts: of a set; a class without utterances has the prior.
        share: (V,) of :func:`word_shares`, above 0.
        prior: weight of the prior, above 0.

    Returns:
        (C, V) float64, in nats; positive = more often in the class than in the mean of the others.
    """
    sizes = counts.utterances[:, None]
    observed = counts.words / sizes if sizes.all() else np.where(sizes > 0, counts.words / np.maximum(sizes, 1), share)
    p = (observed + prior * share) / (1 + prior)  # (C, V)
    if len(p) == 2:  # the mean of the others is the other class
        odds = _logit(p)
        return np.asarray(odds - odds[::-1])
    others = (p.sum(axis=0) - p) / max(1, len(p) - 1)
    return _logit(p) - _logit(others)


def _logit(p: Array) -> Array:
    clipped = np.minimum(np.maximum(p, 1e-12), 1 - 1e-12)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def mean_square_difference(first: Array, second: Array, share: Array) -> float:
    """Return the divergence of two associations, each (C, V); the formula is in the docstring of the module."""
    return float(((first - second) ** 2).mean(axis=0) @ share / max(float(share.sum()), 1e-300))


def divergence(first: WordCounts, second: WordCounts, share: Array, prior: float = PRIOR) -> float:
    """Return the divergence of two sets of utterances in their word-label association, in squared nats, at least 0."""
    return mean_square_difference(log_odds(first, share, prior), log_odds(second, share, prior), share)


def agreement(first: WordCounts, second: WordCounts, share: Array, prior: float = PRIOR) -> float:
    """Return the correlation of two associations over classes and words, with words weighted as in the divergence.

    1 = the same words are associated with the same labels, 0 = the associations are unrelated, below 0 = they are reversed. The
    divergence alone does not tell whether associations grew, vanished or reversed.
    """
    a, b = log_odds(first, share, prior), log_odds(second, share, prior)
    weight = np.broadcast_to(share / (share.sum() * len(a)), a.shape)
    a, b = a - (weight * a).sum(), b - (weight * b).sum()
    norm = float(np.sqrt((weight * a * a).sum() * (weight * b * b).sum()))
    return float((weight * a * b).sum()) / norm if norm > 0 else 0.0


def total_variation(first: Array, second: Array) -> float:
    """Return half the summed absolute difference of two label distributions, given as counts (C,); from 0 to 1."""
    p, q = first / max(float(first.sum()), 1e-12), second / max(float(second.sum()), 1e-12)
    return float(np.abs(p - q).sum()) / 2
