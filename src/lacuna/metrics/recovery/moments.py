"""Errors and moments of recovered vectors against the true ones, from additive sums by group of dialogues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array

DIRECTIONS = 16  # the covariance of a wider modality is compared in this many random directions
UPWARD = ("mean_error", "std_error", "covariance_error")  # distances of moments, biased upwards by resampling


def directions(width: int) -> Array:
    """Return the orthonormal directions in which covariances are compared.

    Args:
        width: d columns of the modality.

    Returns:
        (d, r) float64 with r = min(d, 16): the identity up to 16 columns, otherwise a fixed random draw.
    """
    if width <= DIRECTIONS:
        return np.eye(width)
    drawn = np.random.default_rng([width, 0xD1]).normal(size=(width, DIRECTIONS))
    return np.asarray(np.linalg.qr(drawn)[0])


def add_rows(sums: Array, rows: Array, group: NDArray[np.int64]) -> None:
    """Add rows (R, ...) to the sums (G, ...) of their groups (R,) int64, in place."""
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sums[group[order][first]] += np.add.reduceat(rows[order], first, axis=0) if len(first) else 0


class Moments:
    """Additive sums over pairs of a recovered and a true vector.

    Args:
        groups: G groups of dialogues.
        width: d columns of the modality.

    Attributes:
        sums: (G, K) float64.
    """

    def __init__(self, groups: int, width: int) -> None:
        self.width, self.directions = width, directions(width)
        r = self.directions.shape[1]
        sizes: dict[str, int] = {"n": 1, "squared": 1, "cosine": 1}
        sizes |= {"g": width, "t": width, "gg": width, "tt": width}
        sizes |= {"pg": r, "pt": r, "cg": r * r, "ct": r * r}
        ends = np.cumsum(list(sizes.values()))
        self._where = {name: slice(int(end) - size, int(end)) for (name, size), end in zip(sizes.items(), ends, strict=True)}
        self.sums = np.zeros((groups, int(ends[-1])))

    def add(self, guess: Array, truth: Array, group: NDArray[np.int64]) -> None:
        """Add R pairs.

        Args:
            guess: (R, d) float64 recovered vectors.
            truth: (R, d) float64 true vectors.
            group: (R,) int64 group of each pair.
        """
        lengths = np.linalg.norm(guess, axis=1) * np.linalg.norm(truth, axis=1)
        cosine = (guess * truth).sum(axis=1) / np.where(lengths > 0, lengths, 1)
        projected = guess @ self.directions, truth @ self.directions  # (R, r)
        outer = [(p[:, :, None] * p[:, None, :]).reshape(len(p), -1) for p in projected]  # (R, r, r) -> (R, r * r)
        one = np.ones((len(guess), 1))
        squared = np.square(guess - truth).mean(axis=1, keepdims=True)
        rows = [one, squared, cosine[:, None], guess, truth, guess**2, truth**2, *projected, *outer]
        add_rows(self.sums, np.concatenate(rows, axis=1), group)

    @property
    def per_group(self) -> Array:
        """(G,) number of pairs."""
        return self.sums[:, 0]

    def squared(self, weights: Array) -> Array:
        """Return the mean squared error per column of weighted groups: (..., G) -> (...)."""
        sums = weights @ self.sums[:, :2]
        return _over(sums[..., 1], sums[..., 0])

    def measures(self, weights: Array) -> dict[str, Array]:
        """Return every measure of weighted groups.

        ``mse``: squared error, mean over columns. ``cosine`` of recovered and true vector, 0 where one of them is zero.
        ``mean_error`` and ``std_error``: root mean square over columns of the difference of means and of standard deviations.
        ``variance_ratio``: total variance of the recovered vectors over that of the true ones; below 1 for a conditional mean.
        ``covariance_error``: Frobenius norm of the difference of the covariances over the norm of the true one, in
        :func:`directions`.

        Args:
            weights: (..., G) float64.

        Returns:
            By name (...) float64; NaN where the weights leave no pair.
        """
        sums = np.asarray(weights @ self.sums)
        n = sums[..., 0]
        two = np.where(n > 1, n, np.nan)  # one vector has no variance

        def mean(name: str, count: Array = n) -> Array:
            return _over(sums[..., self._where[name]], count[..., None])

        g, t = mean("g"), mean("t")
        vg = np.maximum(mean("gg", two) - g**2, 0)
        vt = np.maximum(mean("tt", two) - t**2, 0)
        cg, ct = (mean(f"c{x}", two) - _outer(mean(f"p{x}", two)) for x in "gt")
        return {
            "mse": mean("squared")[..., 0],
            "cosine": mean("cosine")[..., 0],
            "mean_error": np.sqrt(np.square(g - t).mean(axis=-1)),
            "std_error": np.sqrt(np.square(np.sqrt(vg) - np.sqrt(vt)).mean(axis=-1)),
            "variance_ratio": _over(vg.sum(axis=-1), vt.sum(axis=-1)),
            "covariance_error": _over(np.linalg.norm(cg - ct, axis=-1), np.linalg.norm(ct, axis=-1)),
        }


def _outer(vectors: Array) -> Array:
    """Return the flattened outer product of each vector with itself: (..., r) -> (..., r * r)."""
    product = vectors[..., :, None] * vectors[..., None, :]
    return np.asarray(product.reshape(*product.shape[:-2], -1))  # (..., r, r) -> (..., r * r)


def _over(values: Array, count: Array) -> Array:
    """Return ``values / count``, NaN where the count is 0."""
    some = np.broadcast_to(count > 1e-12, np.broadcast_shapes(values.shape, count.shape))
    return np.asarray(np.divide(values, count, out=np.full(some.shape, np.nan), where=some))
