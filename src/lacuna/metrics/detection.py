"""Does a model notice that something is out of distribution? AUROC of two scores that need no training.

``energy``: minus the log of the summed exponentials of the logits (Liu et al., NeurIPS 2020, arXiv 2010.03759); it sees how
large the logits are, so it says nothing of a model whose logits are log-probabilities (``prior``, and models with MACI where
tau is above 0). ``max_probability``: one minus the largest probability (Hendrycks & Gimpel, ICLR 2017, arXiv 1610.02136).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.counts import Array, log_softmax
from lacuna.metrics.scores import ratio

SCORES = ("energy", "max_probability")
_SAME = 9  # decimals: differences below are rounding and count as ties


def outlyingness(logits: NDArray[np.floating]) -> dict[str, Array]:
    """By score (N,) float64, higher = more out of distribution, from (N, C) logits."""
    exact = logits.astype(np.float64)
    high = exact.max(axis=1)
    energy = -(high + np.log(np.exp(exact - high[:, None]).sum(axis=1)))
    return {
        "energy": np.round(energy, 6),  # logits are single-precision: log-probabilities sum to 1 up to this
        "max_probability": np.round(1 - np.exp(log_softmax(exact).max(axis=1)), _SAME),
    }


def wins(
    inside: Array, inside_rows: NDArray[np.int64], outside: Array, outside_rows: NDArray[np.int64], shape: tuple[int, int]
) -> Array:
    """How many pairs are in the right order, by pair of dialogues.

    Args:
        inside: (N,) scores of the IID test.
        inside_rows: (N,) their dialogues, from 0.
        outside: (M,) scores of the other test.
        outside_rows: (M,) their dialogues.
        shape: number of dialogues of each.

    Returns:
        (D, E) float64: pairs with the outside score above the inside one, ties counting half. Weighted sums over it are bootstrap
        replicates of the AUROC.
    """
    found = np.zeros(shape)
    order = np.argsort(inside_rows, kind="stable")
    edges = np.searchsorted(inside_rows[order], np.arange(shape[0] + 1))
    for row in range(shape[0]):
        own = np.sort(inside[order[edges[row] : edges[row + 1]]])
        below, upto = np.searchsorted(own, outside, "left"), np.searchsorted(own, outside, "right")
        found[row] = np.bincount(outside_rows, (below + upto) / 2, shape[1])
    return found


def auroc(won: Array, inside: Array, outside: Array) -> Array:
    """Area under the ROC curve of weighted dialogues.

    Args:
        won: (D, E) of :func:`wins`.
        inside: (..., D) weights, times how many utterances each dialogue has: (..., 2, D), weights first.
        outside: (..., 2, E) likewise.

    Returns:
        (...) float64; 0.5 = chance.
    """
    pairs = (inside[..., 0, :] * inside[..., 1, :]).sum(-1) * (outside[..., 0, :] * outside[..., 1, :]).sum(-1)
    return ratio(np.einsum("...d,de,...e->...", inside[..., 0, :], won, outside[..., 0, :]), pairs)
