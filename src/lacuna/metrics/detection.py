"""Out-of-distribution detection: AUROC of two scores that need no training.

``energy``: minus the logarithm of the summed exponentials of the logits (Liu et al., NeurIPS 2020, arXiv 2010.03759). It depends
on the size of the logits, so it is the same for every utterance of a model whose logits are log-probabilities (``prior``, and
models with MACI where tau is above 0). ``max_probability``: one minus the largest probability (Hendrycks and Gimpel, ICLR 2017,
arXiv 1610.02136).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array, log_softmax
from lacuna.metrics.scores import ratio

SCORES = ("energy", "max_probability")
_DECIMALS = 9  # smaller differences are rounding errors and count as ties


def outlyingness(logits: NDArray[np.floating]) -> dict[str, Array]:
    """Return both scores of each utterance, higher = more out of distribution.

    Args:
        logits: (N, C) float.

    Returns:
        By name of the score (N,) float64.

    Example:
        >>> outlyingness(np.array([[4.0, 0.0], [0.0, 0.0]]))["max_probability"].round(3).tolist()
        [0.018, 0.5]
    """
    exact = logits.astype(np.float64)
    high = exact.max(axis=1)
    energy = -(high + np.log(np.exp(exact - high[:, None]).sum(axis=1)))
    return {
        "energy": np.round(energy, 6),  # float32 logits: probabilities sum to 1 up to this error
        "max_probability": np.round(1 - np.exp(log_softmax(exact).max(axis=1)), _DECIMALS),
    }


def wins(
    inside: Array, inside_rows: NDArray[np.int64], outside: Array, outside_rows: NDArray[np.int64], shape: tuple[int, int]
) -> Array:
    """Return the number of correctly ordered pairs of utterances, by pair of dialogues.

    Args:
        inside: (N,) float64 scores of the IID test.
        inside_rows: (N,) int64 their dialogues, from 0 to D - 1.
        outside: (M,) float64 scores of the other test.
        outside_rows: (M,) int64 their dialogues, from 0 to E - 1.
        shape: D and E.

    Returns:
        (D, E) float64: pairs whose outside score is above the inside one, ties count half. Weighted sums over it are bootstrap
        replicates of the AUROC.
    """
    result = np.zeros(shape)
    order = np.argsort(inside_rows, kind="stable")
    edges = np.searchsorted(inside_rows[order], np.arange(shape[0] + 1))
    for row in range(shape[0]):
        ascending = np.sort(inside[order[edges[row] : edges[row + 1]]])
        n_below = np.searchsorted(ascending, outside, "left")
        n_below_or_equal = np.searchsorted(ascending, outside, "right")
        result[row] = np.bincount(outside_rows, (n_below + n_below_or_equal) / 2, shape[1])
    return result


def auroc(won: Array, inside: Array, outside: Array) -> Array:
    """Return the area under the ROC curve of weighted dialogues.

    Args:
        won: (D, E) of :func:`wins`.
        inside: (..., 2, D) float64: weights of the dialogues, then their numbers of utterances.
        outside: (..., 2, E) float64 likewise.

    Returns:
        (...) float64 in [0, 1]; 0.5 = chance.

    Example:
        >>> won = wins(np.array([0.1, 0.4]), np.array([0, 1]), np.array([0.3]), np.array([0]), (2, 1))
        >>> float(auroc(won, np.ones((2, 2)), np.ones((2, 1))))
        0.5
    """
    pairs = (inside[..., 0, :] * inside[..., 1, :]).sum(-1) * (outside[..., 0, :] * outside[..., 1, :]).sum(-1)
    return ratio(np.einsum("...d,de,...e->...", inside[..., 0, :], won, outside[..., 0, :]), pairs)
