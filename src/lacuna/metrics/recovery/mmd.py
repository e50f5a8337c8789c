r"""Maximum mean discrepancy between recovered and true vectors (Gretton et al., JMLR 2012).

Every recovered vector :math:`g_i` has one true vector :math:`t_i`, so we use the unbiased estimate for pairs (their equation 4):
the mean over :math:`i \ne j` of :math:`h_{ij} = k(g_i, g_j) + k(t_i, t_j) - k(g_i, t_j) - k(g_j, t_i)` with a Gaussian kernel.
The kernel width is the median distance of the true vectors and so the same for every model. Pairs within a dialogue are left out,
because they depend on each other and would bias the estimate. Under the null hypothesis a recovered vector and its true one are
exchangeable; whole dialogues are exchanged at random, which turns :math:`h_{ij}` into :math:`s_i s_j h_{ij}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array


class Sample:
    """A bounded sample of pairs: those with the smallest keys, whatever the order in which they are added.

    Args:
        most: largest number of pairs that is kept.
        width: d columns of the modality.

    Attributes:
        keys: (n,) uint64, ascending.
        group: (n,) int64 group of each pair.
        guess: (n, d) float64 recovered vectors.
        truth: (n, d) float64 true vectors.
    """

    def __init__(self, most: int, width: int) -> None:
        self.most = most
        self.keys, self.group = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self.guess, self.truth = np.zeros((0, width)), np.zeros((0, width))

    def add(self, keys: NDArray[np.uint64], guess: Array, truth: Array, group: NDArray[np.int64]) -> None:
        """Add R pairs: keys (R,) uint64, vectors (R, d) float64 and groups (R,) int64."""
        keys = np.concatenate([self.keys, keys])
        kept = np.argsort(keys, kind="stable")[: self.most]
        self.keys, self.group = keys[kept], np.concatenate([self.group, group])[kept]
        self.guess, self.truth = np.concatenate([self.guess, guess])[kept], np.concatenate([self.truth, truth])[kept]


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """Squared MMD.

    Attributes:
        value: unbiased estimate, so it may be negative; NaN with fewer than two groups.
        draws: (B,) bootstrap replicates.
        null: (P,) values after exchanging recovered and true vectors by group.
        p: permutation p-value, at least 1 / (P + 1).
    """

    value: float
    draws: Array
    null: Array
    p: float


def discrepancy(sample: Sample, weights: Array, permutations: int, seed: int) -> Discrepancy:
    """Return the squared MMD of a sample with its permutation null.

    Args:
        sample: pairs.
        weights: (B, G) float64, how often each group of dialogues is drawn in each replicate.
        permutations: P exchanges.
        seed: of the exchanges.
    """
    groups, position = np.unique(sample.group, return_inverse=True)
    if len(groups) < 2:
        return Discrepancy(np.nan, np.full(len(weights), np.nan), np.full(permutations, np.nan), np.nan)
    member = np.eye(len(groups))[position]  # (n, G)
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
    """Return h of all pairs: (n, d) and (n, d) -> (n, n) float64."""
    distances = _distances(truth, truth)
    median = float(np.median(distances[np.triu_indices(len(truth), 1)])) if len(truth) > 1 else 0.0
    width = 2 * (median if median > 0 else 1.0)  # distances are squared: k = exp(-distance / (2 median))
    cross = np.exp(-_distances(guess, truth) / width)
    return np.asarray(np.exp(-_distances(guess, guess) / width) + np.exp(-distances / width) - cross - cross.T)


def _distances(a: Array, b: Array) -> Array:
    """Return the squared Euclidean distances: (n, d) and (m, d) -> (n, m)."""
    squared = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0))


def _quadratic(x: Array, matrix: Array) -> Array:
    """Return ``x' matrix x`` of each row x: (B, G) -> (B,)."""
    return np.asarray(((x @ matrix) * x).sum(axis=1))
