r"""Maximum mean discrepancy between recovered and true vectors (Gretton et al., JMLR 2012).

Each recovered vector :math:`g_i` has its own true one :math:`t_i`, so the unbiased estimate for pairs is taken, their eq. 4:
the mean over :math:`i \ne j` of :math:`h_{ij} = k(g_i, g_j) + k(t_i, t_j) - k(g_i, t_j) - k(g_j, t_i)` with a Gaussian kernel
whose width is the median distance of true vectors, and so the same for every model. Pairs within a dialogue are left out: they
depend on each other and would bias it. Under the null a recovered vector can change places with its true one; whole dialogues
do so at random, which turns :math:`h_{ij}` into :math:`s_i s_j h_{ij}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array


class Sample:
    """The pairs with the smallest keys of all that were shown, whatever the order: at most so many are held.

    Args:
        most: how many.
        width: d.
    """

    def __init__(self, most: int, width: int) -> None:
        self.most = most
        self.keys, self.group = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self.guess, self.truth = np.zeros((0, width)), np.zeros((0, width))

    def add(self, keys: NDArray[np.uint64], guess: Array, truth: Array, group: NDArray[np.int64]) -> None:
        """Show R pairs: keys and groups (R,), vectors (R, d)."""
        keys = np.concatenate([self.keys, keys])
        kept = np.argsort(keys, kind="stable")[: self.most]
        self.keys, self.group = keys[kept], np.concatenate([self.group, group])[kept]
        self.guess, self.truth = np.concatenate([self.guess, guess])[kept], np.concatenate([self.truth, truth])[kept]


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """Squared MMD.

    Attributes:
        value: unbiased, so it may be negative; NaN with fewer than two dialogues.
        draws: (B,) bootstrap replicates.
        null: (P,) values when recovered and true vectors change places by dialogue.
        p: chance of at least ``value`` under the null, never 0.
    """

    value: float
    draws: Array
    null: Array
    p: float


def discrepancy(sample: Sample, weights: Array, permutations: int, seed: int) -> Discrepancy:
    """Squared MMD of a sample with its null.

    Args:
        sample: pairs.
        weights: (B, G) how often each group of dialogues is drawn in each replicate.
        permutations: P.
        seed: of the exchanges.
    """
    groups, at = np.unique(sample.group, return_inverse=True)
    if len(groups) < 2:
        return Discrepancy(np.nan, np.full(len(weights), np.nan), np.full(permutations, np.nan), np.nan)
    member = np.eye(len(groups))[at]  # (n, G)
    table, pairs = member.T @ _h(sample.guess, sample.truth) @ member, np.outer(member.sum(axis=0), member.sum(axis=0))
    np.fill_diagonal(table, 0)
    np.fill_diagonal(pairs, 0)
    value = float(table.sum() / pairs.sum())
    signs = np.random.default_rng([seed, 0xABD]).choice([-1.0, 1.0], (permutations, len(groups)))
    null = _quadratic(signs, table) / pairs.sum()
    drawn = weights[:, groups]
    number = _quadratic(drawn, pairs)
    draws = np.divide(_quadratic(drawn, table), number, out=np.full(len(drawn), np.nan), where=number > 0)
    p = (1 + int((null >= value - 1e-12).sum())) / (1 + permutations)  # equal up to rounding counts as equal
    return Discrepancy(value, draws, null, p)


def _h(guess: Array, truth: Array) -> Array:
    """(n, n) float64 of the statistic."""
    apart = _distances(truth, truth)
    middle = float(np.median(apart[np.triu_indices(len(truth), 1)])) if len(truth) > 1 else 0.0
    width = 2 * (middle if middle > 0 else 1.0)  # distances are squared: k = exp(-distance / (2 median))
    cross = np.exp(-_distances(guess, truth) / width)
    return np.asarray(np.exp(-_distances(guess, guess) / width) + np.exp(-apart / width) - cross - cross.T)


def _distances(a: Array, b: Array) -> Array:
    """Squared distances: (n, d) and (m, d) -> (n, m)."""
    squared = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0))


def _quadratic(x: Array, matrix: Array) -> Array:
    """``x' matrix x`` of each row: (B, G) -> (B,)."""
    return np.asarray(((x @ matrix) * x).sum(axis=1))
