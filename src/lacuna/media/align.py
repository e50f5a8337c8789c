"""The clock of a clip: frame i of an encoder with ``rate`` frames a second covers ``[i / rate, (i + 1) / rate)`` seconds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def n_frames(seconds: float, rate: float) -> int:
    """Return how many frames cover a clip, at least 1; the last one may be shorter.

    Args:
        seconds: duration of the clip.
        rate: frames a second.

    >>> n_frames(2.0, 10), n_frames(2.01, 10)
    (20, 21)
    """
    return max(1, math.ceil(round(seconds * rate, 6)))


def frame_times(count: int, rate: float) -> NDArray[np.float64]:
    """Return the middle of each frame in seconds of the clip: (count,) float64.

    Args:
        count: number of frames.
        rate: frames a second.

    >>> frame_times(3, 10).round(2).tolist()
    [0.05, 0.15, 0.25]
    """
    times: NDArray[np.float64] = (np.arange(count, dtype=np.float64) + 0.5) / rate
    return times


def pool(values: NDArray[np.float64], valid: NDArray[np.bool_], per_frame: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Average fine frames to coarse ones.

    Args:
        values: (n, d) one row a fine frame.
        valid: (n,) bool or (n, d) bool: which values count.
        per_frame: fine frames in a coarse one, at least 1; the last coarse frame may have fewer.

    Returns:
        (m, d) float32 means over the valid values, 0 where there is none; and (m,) bool, whether the frame has a valid value.
    """
    starts = np.arange(0, len(values), per_frame)
    weights = np.broadcast_to(valid if valid.ndim == 2 else valid[:, None], values.shape)
    count = np.add.reduceat(weights.astype(np.float64), starts, axis=0)  # (m, d)
    total = np.add.reduceat(np.where(weights, values, 0.0), starts, axis=0)  # (m, d)
    return (total / np.maximum(count, 1)).astype(np.float32), np.asarray(count.any(axis=1))
