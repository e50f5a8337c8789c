r"""Whether draws of what is missing vary as much as the truth does: ranks, coverage of central intervals, sharpness, CRPS.

If the truth and S draws come from one distribution, the truth's rank among them is even over 0..S, and it lies between the k-th
smallest and the k-th largest draw with chance exactly :math:`1 - 2k / (S + 1)`. So coverage is read from the ranks, and has an
expected value without further assumptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.moments import add_rows


class Ranks:
    """Additive sums over columns of pairs of a true vector and its draws.

    Args:
        groups: G groups of dialogues.
        number: S draws of each vector, at least 2.

    Attributes:
        sums: (G, 3 + S + 1) float64: columns counted, CRPS, variance of the draws, and ranks.
    """

    def __init__(self, groups: int, number: int) -> None:
        self.number = number
        self.sums = np.zeros((groups, 3 + number + 1))

    def add(self, draws: Array, truth: Array, group: NDArray[np.int64]) -> None:
        """Add R vectors: draws (S, R, d), truth (R, d), group (R,) int64."""
        s, (r, d) = self.number, truth.shape
        below, equal = (draws < truth).sum(axis=0), (draws == truth).sum(axis=0)  # (R, d)
        edges = np.zeros((r, s + 2))
        row = np.repeat(np.arange(r), d)
        share = 1 / (equal + 1)  # a truth that equals draws is as likely on either side of each
        np.add.at(edges, (row, below.reshape(-1)), share.reshape(-1))  # (R, d) -> (R * d,), all three
        np.add.at(edges, (row, (below + equal + 1).reshape(-1)), -share.reshape(-1))
        ranks = edges.cumsum(axis=1)[:, :-1]  # (R, S + 1)
        rows = [np.full(r, float(d)), _crps(draws, truth).sum(axis=1), draws.var(axis=0, ddof=1).sum(axis=1)]
        add_rows(self.sums, np.concatenate([np.stack(rows, axis=1), ranks], axis=1), group)

    def measures(self, weights: Array, levels: Sequence[float]) -> dict[str, Array]:
        """Every measure of weighted groups: (..., G) -> (...) each.

        ``crps``: continuous ranked probability score, corrected for the finite number of draws. ``sharpness``: root mean variance
        of the draws. ``coverage@p``: share of true values in the central interval that should hold a share p of them; of the
        levels asked for, the nearest ones that S draws have. ``rank@k``: share of true values with k draws below, 1 / (S + 1) if
        calibrated.
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
    """The fair CRPS of an ensemble (Ferro, QJRMS 2014): draws (S, R, d) and truth (R, d) -> (R, d)."""
    s = len(draws)
    place = (2 * np.arange(1, s + 1) - s - 1)[:, None, None]
    between = (place * np.sort(draws, axis=0)).sum(axis=0)  # sum over pairs of their distance
    return np.asarray(np.abs(draws - truth).mean(axis=0) - between / (s * (s - 1)))
