r"""Calibration of draws of missing values: ranks of the true value, coverage of central intervals, sharpness, CRPS.

If the true value and S draws come from one distribution, the rank of the true value among the draws is uniform on 0..S, and it
lies between the k-th smallest and the k-th largest draw with probability :math:`1 - 2k / (S + 1)` exactly. So coverage follows
from the ranks, and its expected value needs no further assumptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.moments import add_rows


class Ranks:
    """Additive sums over the columns of true vectors and their draws.

    Args:
        groups: G groups of dialogues.
        number: S draws of each vector, at least 2.

    Attributes:
        sums: (G, 3 + S + 1) float64: number of columns, CRPS, variance of the draws, and counts of the ranks 0..S.
    """

    def __init__(self, groups: int, number: int) -> None:
        self.number = number
        self.sums = np.zeros((groups, 3 + number + 1))

    def add(self, draws: Array, truth: Array, group: NDArray[np.int64]) -> None:
        """Add R vectors.

        Args:
            draws: (S, R, d) float64.
            truth: (R, d) float64.
            group: (R,) int64 group of each vector.
        """
        s, (r, d) = self.number, truth.shape
        below, equal = (draws < truth).sum(axis=0), (draws == truth).sum(axis=0)  # (R, d)
        edges = np.zeros((r, s + 2))
        row = np.repeat(np.arange(r), d)
        share = 1 / (equal + 1)  # a true value that equals some draws has each of the tied ranks with the same weight
        np.add.at(edges, (row, below.reshape(-1)), share.reshape(-1))  # (R, d) -> (R * d,), all three
        np.add.at(edges, (row, (below + equal + 1).reshape(-1)), -share.reshape(-1))
        ranks = edges.cumsum(axis=1)[:, :-1]  # (R, S + 1)
        rows = [np.full(r, float(d)), _crps(draws, truth).sum(axis=1), draws.var(axis=0, ddof=1).sum(axis=1)]
        add_rows(self.sums, np.concatenate([np.stack(rows, axis=1), ranks], axis=1), group)

    def measures(self, weights: Array, levels: Sequence[float]) -> dict[str, Array]:
        """Return every measure of weighted groups.

        ``crps``: continuous ranked probability score, corrected for the finite number of draws. ``sharpness``: root mean variance
        of the draws. ``coverage@p``: share of true values inside the central interval whose nominal level is p. ``rank@k``: share
        of true values with k draws below them, 1 / (S + 1) if calibrated.

        Args:
            weights: (..., G) float64.
            levels: of the central intervals; each is replaced by the nearest level that S draws have.

        Returns:
            By name (...) float64; NaN where the weights leave no vector.
        """
        sums = np.asarray(weights @ self.sums)
        n = np.where(sums[..., 0] > 0, sums[..., 0], np.nan)
        ranks = sums[..., 3:] / n[..., None]  # (..., S + 1)
        result = {"crps": sums[..., 1] / n, "sharpness": np.sqrt(sums[..., 2] / n)}
        for level in levels:
            k = max(1, min(round((1 - level) * (self.number + 1) / 2), self.number // 2))
            inside = ranks[..., k : self.number + 1 - k].sum(axis=-1)
            result[f"coverage@{1 - 2 * k / (self.number + 1):.3g}"] = inside
        return result | {f"rank@{k}": ranks[..., k] for k in range(self.number + 1)}


def _crps(draws: Array, truth: Array) -> Array:
    """Return the fair CRPS of an ensemble (Ferro, QJRMS 2014): draws (S, R, d) and truth (R, d) -> (R, d)."""
    s = len(draws)
    coefficient = (2 * np.arange(1, s + 1) - s - 1)[:, None, None]
    pair_distances = (coefficient * np.sort(draws, axis=0)).sum(axis=0)  # summed over all pairs of draws
    return np.asarray(np.abs(draws - truth).mean(axis=0) - pair_distances / (s * (s - 1)))
