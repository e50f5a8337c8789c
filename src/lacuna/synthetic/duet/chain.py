r"""Forward-backward over the emotions of both speakers, a hidden Markov chain on K*K states, many dialogues at once.

The state is [other, own] with ``own`` the emotion of the current speaker: at a turn only this emotion changes, so a step costs
K^3 and not K^4. When the speaker changes, the two axes are exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import DataError
from lacuna.synthetic.duet.warp import Array

_BLOCK = 512  # dialogues at a time, which bounds the memory of the forward messages


@dataclass(frozen=True, eq=False)
class Turns:
    """Positions of N utterances in their dialogues, checked for the requirements of the chain.

    Attributes:
        first: (D,) int64 row of each dialogue's first turn.
        length: (D,) int64 turns of each dialogue.
        passes: (N,) bool, whether the speaker differs from that of the turn before.
    """

    first: NDArray[np.int64]
    length: NDArray[np.int64]
    passes: NDArray[np.bool_]

    @classmethod
    def of(cls, dialogue: NDArray[np.int64], turn: NDArray[np.int64], speaker: NDArray[np.int64]) -> Turns:
        """Return the positions of utterances that are ordered by dialogue and turn.

        Args:
            dialogue: (N,) int64 codes, the turns of a dialogue next to each other.
            turn: (N,) int64, 0, 1, 2, ... in each dialogue.
            speaker: (N,) int64 codes, at most two in a dialogue.

        Raises:
            DataError: a dialogue lacks its beginning or a turn in its middle, comes in pieces, or has a third speaker.
        """
        rows = np.arange(len(dialogue))
        opens = np.ones(len(dialogue), bool)
        opens[1:] = dialogue[1:] != dialogue[:-1]
        first = np.flatnonzero(opens)
        begin = first[np.cumsum(opens) - 1]  # (N,) row of the dialogue's first turn
        if (wrong := np.flatnonzero(turn != rows - begin)).size:
            raise DataError(
                "the posterior with context needs whole dialogues, turn by turn",
                expected=f"turn {rows[wrong[0]] - begin[wrong[0]]} in row {wrong[0]}",
                found=int(turn[wrong[0]]),
                hint="keep the dialogues whole, or ask without context",
            )
        if len(np.unique(dialogue[first])) != len(first):
            raise DataError("the turns of a dialogue must stand next to each other", hint="sort by dialogue and turn")
        passes = ~opens
        passes[1:] &= speaker[1:] != speaker[:-1]
        side = np.cumsum(passes)
        side = (side - side[begin]) % 2  # (N,) 0 for the first speaker, 1 for the other
        for value in (0, 1):
            rows_of_side = np.flatnonzero(side == value)
            after, before = rows_of_side[1:], rows_of_side[:-1]
            third = (dialogue[after] == dialogue[before]) & (speaker[after] != speaker[before])
            if third.any():
                found = f"a third in row {after[third][0]}"
                raise DataError("a dialogue of duet has two speakers", expected="at most two", found=found)
        return cls(first, np.diff(np.append(first, len(rows))), passes)


def smooth(kernel: Array, prior: Array, likelihood: Array, turns: Turns) -> Array:
    r"""Return P(emotion of each turn's speaker | everything observed in the dialogue).

    .. math::
        F_t(o, n) \propto \ell_t(n) \sum_s F_{t-1}(o, s)\, T(n \mid s, o), \qquad
        B_{t-1}(o, s) \propto \sum_n T(n \mid s, o)\, \ell_t(n)\, B_t(o, n), \qquad
        P_t(n) \propto \sum_o F_t(o, n) B_t(o, n)

    Args:
        kernel: (K, K, K) float64 T in the order [own, other, new].
        prior: (K,) float64 of each of the two before the first turn.
        likelihood: (N, K) float64, up to a factor for each row.
        turns: order of the N rows.

    Returns:
        (N, K) float64.
    """
    return _in_blocks(partial(_block, kernel, prior), likelihood, turns)


def filtered(kernel: Array, prior: Array, likelihood: Array, turns: Turns, alternate: float | None = None) -> Array:
    r"""Return P(emotion | what was observed up to each turn), of the turn's speaker or of the turn that follows.

    .. math::
        P_t(n) \propto \sum_o F_t(o, n), \qquad
        Q_t(n) \propto \sum_{o, s} F_t(o, s)\, \big((1 - a)\, T(n \mid s, o) + a\, T(n \mid o, s)\big)

    with the forward messages F of :func:`smooth`. Who speaks next is not known at turn t: with probability a it is the other.

    Args:
        kernel: as for :func:`smooth`.
        prior: as for :func:`smooth`.
        likelihood: (N, K) float64, up to a factor for each row.
        turns: order of the N rows.
        alternate: probability a that the speaker changes; ``None`` = P, otherwise Q.

    Returns:
        (N, K) float64.
    """
    return _in_blocks(partial(_forward_block, kernel, prior, alternate), likelihood, turns)


def _in_blocks(compute: Callable[[Array, NDArray[np.bool_]], Array], likelihood: Array, turns: Turns) -> Array:
    """Return (N, K) results of a function of padded dialogues, likelihood (T, D, K) and passes (T, D) -> (T, D, K)."""
    result = np.empty_like(likelihood)
    for low in range(0, len(turns.first), _BLOCK):
        first, length = turns.first[low : low + _BLOCK], turns.length[low : low + _BLOCK]
        real = np.arange(length.max()) < length[:, None]  # (D, T)
        rows = (first[:, None] + np.arange(length.max()))[real]  # (rows of the block,)
        padded = np.ones((*real.shape, likelihood.shape[1]))  # after its end a dialogue is unobserved
        padded[real] = likelihood[rows]
        passes = np.zeros(real.shape, bool)
        passes[real] = turns.passes[rows]
        result[rows] = compute(padded.transpose(1, 0, 2), passes.T).transpose(1, 0, 2)[real]  # (T, D, K) <-> (D, T, K)
    return result


def _forward_block(kernel: Array, prior: Array, alternate: float | None, likelihood: Array, passes: NDArray[np.bool_]) -> Array:
    """Run the forward messages on padded dialogues: likelihood (T, D, K), passes (T, D) -> (T, D, K), see :func:`filtered`."""
    steps, many, k = likelihood.shape
    forth = kernel.transpose(1, 0, 2)  # [other, own, new]
    result = np.empty((steps, many, k))
    state = np.broadcast_to(np.outer(prior, prior)[:, None, :], (k, many, k))  # (other, D, own)
    for t in range(steps):
        state = _turned(state, passes[t]) @ forth * likelihood[t]
        state = state / state.sum(axis=(0, 2))[:, None]
        result[t] = state.sum(axis=0)
        if alternate is not None:
            same = np.einsum("ods,son->dn", state, kernel)
            other = np.einsum("ods,osn->dn", state, kernel)
            result[t] = (1 - alternate) * same + alternate * other
    return result


def _block(kernel: Array, prior: Array, likelihood: Array, passes: NDArray[np.bool_]) -> Array:
    """Run forward-backward on padded dialogues: likelihood (T, D, K), passes (T, D) -> posterior (T, D, K)."""
    steps, many, k = likelihood.shape
    forth, back = kernel.transpose(1, 0, 2), kernel.transpose(1, 2, 0)  # [other, own, new] and [other, new, own]
    forward = np.empty((steps, k, many, k))  # [turn, other, dialogue, own]
    state = np.broadcast_to(np.outer(prior, prior)[:, None, :], (k, many, k))
    for t in range(steps):
        state = _turned(state, passes[t]) @ forth * likelihood[t]  # (other, D, own) @ (other, own, new) -> (other, D, new)
        state /= state.sum(axis=(0, 2))[:, None]
        forward[t] = state
    posterior = np.empty((steps, many, k))
    future = np.ones((k, many, k))
    for t in range(steps - 1, -1, -1):
        posterior[t] = (forward[t] * future).sum(axis=0)
        if t:
            future = (future * likelihood[t]) @ back  # (other, D, new) @ (other, new, own) -> (other, D, own)
            future = _turned(future / future.max(axis=(0, 2))[:, None], passes[t])
    return np.asarray(posterior / posterior.sum(axis=2, keepdims=True))


def _turned(state: Array, passes: NDArray[np.bool_]) -> Array:
    """Return the state (other, D, own) with both axes exchanged in the dialogues (D,) whose speaker changes."""
    if not passes.any():
        return state
    return np.where(passes[:, None], state.transpose(2, 1, 0), state)
