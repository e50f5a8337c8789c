r"""How words go with labels, and how far two sets of utterances differ in it.

Of a set :math:`S`, :math:`p_S(w|y)` is the share of its utterances of class :math:`y` that hold the word :math:`w`. A Dirichlet
prior pulls it towards the word's share of the whole corpus, :math:`\pi_w`, and weighs :math:`\kappa` times what the class's own
utterances weigh:

.. math:: \tilde p_S(w|y) = \frac{p_S(w|y) + \kappa\,\pi_w}{1 + \kappa}

The association is the log-odds ratio of the class against the mean of the others,

.. math:: \delta_S(y,w) = \operatorname{logit} \tilde p_S(w|y)
          - \operatorname{logit} \tfrac{1}{C-1}\textstyle\sum_{z\ne y}\tilde p_S(w|z),

and the divergence of two sets the mean of its squared difference, over classes alike and over words by how often they are said:

.. math:: D(A,B) = \sum_w \frac{\pi_w}{\sum_v \pi_v} \frac1C \sum_y \big(\delta_A(y,w) - \delta_B(y,w)\big)^2 \ge 0.

It is symmetric; it is 0 exactly where both sets associate alike; and how large the classes are does not enter, neither by the
labels (every class has its own denominator, and the prior grows with the class) nor by the sizes of the sets. With fewer
utterances chance alone makes it larger, so it is read against random splits of the same sizes. Its root is in nats: the typical
difference in log-odds. :mod:`lacuna.models.wrappers.words` tests single words in the same way (Monroe, Colaresi & Quinn,
Political Analysis 2008), with a prior of fixed weight, which shrinks a small class more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.schema import Target
from lacuna.shift.words import Spoken

Array = NDArray[np.float64]
PRIOR = 0.2  # kappa: half an utterance for a word expected in five of a part and two classes, the usual correction of log-odds
_THIRDS = 3


@dataclass(frozen=True, eq=False)
class WordTally:
    """What association is made of. Tallies of disjoint sets add up.

    Attributes:
        words: (C, V) float64, how many utterances of each class hold each word.
        utterances: (C,) float64, how many utterances each class has.
    """

    words: Array
    utterances: Array

    def __add__(self, other: WordTally) -> WordTally:
        return WordTally(self.words + other.words, self.utterances + other.utterances)

    def __sub__(self, other: WordTally) -> WordTally:
        return WordTally(self.words - other.words, self.utterances - other.utterances)


def strata_of(target: Target, labels: NDArray[np.int64] | NDArray[np.float32]) -> tuple[NDArray[np.int64], int]:
    """What counts as a class here.

    Args:
        target: of the labels.
        labels: (N,) class codes, (N, C) shares, of which the largest counts, or (N,) scores, which are cut into thirds.

    Returns:
        (N,) int64 with -1 = unlabelled, and the number of classes.
    """
    if target.task == "classification":
        return np.asarray(labels, np.int64), len(target.classes)
    if target.task == "soft":
        known = np.asarray(np.isfinite(labels).all(axis=1))
        return np.where(known, np.where(known[:, None], labels, 0).argmax(axis=1), -1), len(target.classes)
    known = np.isfinite(labels)
    cuts = np.quantile(labels[known], np.arange(1, _THIRDS) / _THIRDS) if known.any() else np.zeros(_THIRDS - 1)
    return np.where(known, np.searchsorted(cuts, np.where(known, labels, 0)), -1), _THIRDS


def tally(spoken: Spoken, strata: NDArray[np.int64], classes: int, rows: NDArray[np.int64] | None = None) -> WordTally:
    """Count the words of some utterances by class; unlabelled ones are passed over.

    Args:
        spoken: N utterances.
        strata: (N,) int64 classes, -1 = unlabelled.
        classes: C.
        rows: which utterances; all by default.
    """
    chosen = strata >= 0
    if rows is not None:
        inside = np.zeros(len(strata), bool)
        inside[rows] = True
        chosen = chosen & inside
    vocabulary = len(spoken.names)
    kept = chosen[spoken.row]
    cells = strata[spoken.row[kept]] * vocabulary + spoken.word[kept]
    words = np.bincount(cells, minlength=classes * vocabulary).astype(np.float64)
    sizes = np.bincount(strata[chosen], minlength=classes).astype(np.float64)
    return WordTally(words.reshape(classes, vocabulary), sizes)  # (C*V,) -> (C, V)


def shares(whole: WordTally) -> Array:
    """How often each word is said in the whole corpus, every class counting alike: (V,) float64, the prior of every set."""
    there = whole.utterances > 0
    return np.asarray((whole.words[there] / whole.utterances[there, None]).mean(axis=0))


def log_odds(counted: WordTally, share: Array, prior: float = PRIOR) -> Array:
    """The association of each word with each class, see the module.

    Args:
        counted: of a set; a class without utterances takes the prior.
        share: (V,) of :func:`shares`, above 0.
        prior: its weight.

    Returns:
        (C, V) float64, in nats; positive = more often in the class than in the mean of the others.
    """
    sizes = counted.utterances[:, None]
    own = counted.words / sizes if sizes.all() else np.where(sizes > 0, counted.words / np.maximum(sizes, 1), share)
    p = (own + prior * share) / (1 + prior)  # (C, V)
    if len(p) == 2:  # each is the other's others
        odds = _logit(p)
        return np.asarray(odds - odds[::-1])
    others = (p.sum(axis=0) - p) / max(1, len(p) - 1)
    return _logit(p) - _logit(others)


def _logit(p: Array) -> Array:
    inside = np.minimum(np.maximum(p, 1e-12), 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def spread(first: Array, second: Array, share: Array) -> float:
    """The divergence of two associations (C, V); see the module."""
    return float(((first - second) ** 2).mean(axis=0) @ share / max(float(share.sum()), 1e-300))


def divergence(first: WordTally, second: WordTally, share: Array, prior: float = PRIOR) -> float:
    """How far two sets of utterances differ in which words go with which labels, in squared nats; see the module."""
    return spread(log_odds(first, share, prior), log_odds(second, share, prior), share)


def agreement(first: WordTally, second: WordTally, share: Array, prior: float = PRIOR) -> float:
    """Correlation of two associations over classes and words, words weighted as in the divergence.

    1 = the same words go with the same labels, 0 = what one set says of a word tells nothing of the other, below 0 = words change
    sides. The divergence alone does not tell whether associations grew, vanished or turned round.
    """
    a, b = log_odds(first, share, prior), log_odds(second, share, prior)
    weight = np.broadcast_to(share / (share.sum() * len(a)), a.shape)
    a, b = a - (weight * a).sum(), b - (weight * b).sum()
    below = float(np.sqrt((weight * a * a).sum() * (weight * b * b).sum()))
    return float((weight * a * b).sum()) / below if below > 0 else 0.0


def total_variation(first: Array, second: Array) -> float:
    """Half the summed difference of two label distributions, given as counts: (C,) and (C,) -> 0 to 1."""
    p, q = first / max(float(first.sum()), 1e-12), second / max(float(second.sum()), 1e-12)
    return float(np.abs(p - q).sum()) / 2
