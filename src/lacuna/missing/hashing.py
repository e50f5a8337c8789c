"""Uniform numbers as a pure function of (seed, key, modality, purpose, position), without a generator or any state.

There are two levels. The *key* of an utterance or dialogue and a *stream* (seed, purpose, modality) give 64 bits by two rounds
of the splitmix64 finaliser (Steele, Lea and Flood, OOPSLA 2014). From these bits, ``low`` and ``high``, frame t of the utterance
gets ``mix(mix(t * golden + low) ^ high)`` in 32-bit arithmetic, with the lowbias32 mixer of C. Wellons' hash-prospector.
All work is done in place, in blocks that fit the cache, on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import key_of

BLOCK = 1 << 15  # frames per block: 128 KiB per array
_GOLDEN = np.uint32(0x9E3779B9)


def stream_of(seed: int, *names: str) -> int:
    """Return the 64-bit stream of a seed and names (purpose, modality, ...); other names or seeds give unrelated streams."""
    return key_of("\x1f".join((str(int(seed)), *names)))


def derive_seed(seed: int, *parts: str | int) -> int:
    """Return a seed below 2**63 that is derived from another seed and e.g. ``"train"`` and the epoch.

    Seeds of different parts are unrelated.
    """
    return stream_of(seed, "derived", *(str(part) for part in parts)) >> 1


def bits(keys: NDArray[np.uint64], stream: int) -> NDArray[np.uint64]:
    """Return 64 hashed bits of each key: (K,) uint64 -> (K,) uint64."""
    salt = np.uint64(stream)
    x = keys ^ salt
    _mix64(x)
    x += salt
    _mix64(x)
    return x


def uniform(keys: NDArray[np.uint64], stream: int) -> NDArray[np.float64]:
    """Return a uniform number in [0, 1) for each key: (K,) uint64 -> (K,) float64, multiples of 2**-53."""
    return (bits(keys, stream) >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)


def below(
    keys: NDArray[np.uint64],
    probability: float | NDArray[np.float64],
    count: NDArray[np.int64],
    grid: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Return whether the uniform number of each frame is below a probability: never for 0, always for 1.

    Args:
        keys: (R,) uint64 from :func:`bits`, one per row.
        probability: in [0, 1]; one for all rows, or (R,) float64.
        count: (R,) int64 number of frames of each row.
        grid: (R,) int64; frame t of a row with T frames then uses the number of cell ``floor((t + 1/2) * grid / T)``.

    Returns:
        (sum count,) bool, rows end to end. For one key, a frame that is below p is below every p' >= p.
    """
    out = np.empty(int(count.sum()), np.bool_)
    if np.ndim(probability) == 0 and (probability <= 0 or probability >= 1):
        out[:] = probability >= 1
        return out
    limit = np.minimum(np.rint(np.asarray(probability) * 2.0**32), 2**32 - 1).astype(np.uint32)
    low, high = keys.astype(np.uint32), (keys >> np.uint64(32)).astype(np.uint32)
    ramp = np.arange(BLOCK + int(count.max(initial=0)), dtype=np.uint32)
    if grid is None:
        ramp *= _GOLDEN
    spare = np.empty_like(ramp)
    for rows, frames in _blocks(count):
        n, size = count[rows], frames.stop - frames.start
        first = np.cumsum(n) - n
        if grid is None:  # (t - first) * golden + low, with one repeat
            x = np.repeat(low[rows] - first.astype(np.uint32) * _GOLDEN, n)
            x += ramp[:size]
        else:
            x = _cells(np.arange(size) - np.repeat(first, n), np.repeat(n, n), np.repeat(grid[rows], n))
            x *= _GOLDEN
            x += np.repeat(low[rows], n)
        _mix32(x, spare[:size])
        x ^= np.repeat(high[rows], n)
        _mix32(x, spare[:size])
        np.less(x, limit if limit.ndim == 0 else np.repeat(limit[rows], n), out=out[frames])
    if limit.ndim:
        out |= np.repeat(np.asarray(probability) >= 1, count)
    return out


def _blocks(count: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """Yield consecutive rows with about ``BLOCK`` frames in total, and the slice of their frames."""
    end = np.cumsum(count)
    cut = np.flatnonzero(np.diff((end - count) // BLOCK)) + 1
    edges = [0, *cut.tolist(), len(count)]
    for low, high in pairwise(edges):
        if high > low:
            yield slice(low, high), slice(int(end[low] - count[low]), int(end[high - 1]))


def _cells(t: NDArray[np.int64], total: NDArray[np.int64], grid: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return ``floor((2t + 1) * grid / (2 * total))``; a float64 quotient of integers below 2**53 has the right floor."""
    quotient = np.asarray((2 * t + 1) * grid, np.float64)
    quotient /= 2 * total
    return quotient.astype(np.uint32)


def _mix64(x: NDArray[np.uint64]) -> None:
    """Mix the bits of ``x`` in place (splitmix64)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)


def _mix32(x: NDArray[np.uint32], spare: NDArray[np.uint32]) -> None:
    """Mix the bits of ``x`` in place (lowbias32); ``spare`` is working memory of the same shape."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        np.right_shift(x, shift, out=spare)
        x ^= spare
        x *= np.uint32(factor)
    np.right_shift(x, 16, out=spare)
    x ^= spare
