"""Time lost in all modalities at once: scattered moments, or one stretch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.missing.hashing import below, bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, Unit
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _MomentDraw(Draw):
    """Remove a frame iff the uniform number of its grid cell is below the rate."""

    rate: float
    seed: int

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        count, grid = part.count[modality], part.grid
        key = bits(part.utterance, stream_of(self.seed, "tmfm.cell"))
        return below(key, self.rate, count, None if np.array_equal(count, grid) else grid)


@dataclass(frozen=True, eq=False)
class _StretchDraw(Draw):
    """Remove the frames in one stretch of grid cells."""

    rate: float
    seed: int

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        key, count, grid = part.utterance, part.count[modality], part.grid
        length = np.floor(self.rate * grid + uniform(key, stream_of(self.seed, "stmfm.length"))).astype(np.int64)
        start = np.floor(uniform(key, stream_of(self.seed, "stmfm.start")) * (grid - length + 1)).astype(np.int64)
        low, high = _first_frame(start, count, grid), _first_frame(start + length, count, grid)
        runs = np.stack([low, high - low, count - high], axis=1)  # (U, 3): kept, removed, kept
        return np.repeat(np.tile([False, True, False], len(rows)), runs.reshape(-1))  # (U, 3) -> (3 U,)


def _first_frame(cell: NDArray[np.int64], count: NDArray[np.int64], grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest frame t with ``floor((t + 1/2) * grid / count) >= cell``, at most count.

    That is ``ceil((2 count cell - grid) / 2 grid)``.
    """
    divisor = 2 * np.maximum(grid, 1)
    return np.asarray(np.minimum(-((grid - 2 * count * cell) // divisor), count))


@register("tmfm")
@dataclass(frozen=True)
class Tmfm(Pattern):
    """Temporal modality feature missing: moments are lost, in all modalities together.

    ::

        text    # # . # . # # .
        audio   # # . # . # # .
        vision  #   .   #   .      fewer frames: each follows the moment at its centre

    An utterance has a grid of G = max_m T_m cells; frame t of modality m lies in cell ``floor((t + 1/2) * G / T_m)`` and is
    missing iff the cell's v < r, with v ~ U(0, 1). Where modalities are aligned the mask is the same in each.

    Reference: NIAT, and CIDer's TMFM, which needs aligned data; the grid extends it to any lengths.
    """

    source: ClassVar[str] = "NIAT; CIDer, arXiv 2506.10452"
    unit: ClassVar[Unit] = "frames"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "moments"
    reaches_rate_1: ClassVar[bool] = True

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        return _MomentDraw(layout, rate, seed)


@register("stmfm")
@dataclass(frozen=True)
class Stmfm(Pattern):
    """Structural temporal modality feature missing: one contiguous stretch is lost, in all modalities together.

    ::

        text    # # # . . . . #
        audio   # # # . . . . #
        vision  # # # . . . . #

    On the grid of :class:`Tmfm` the stretch has ``L = floor(r G + w2)`` cells and begins at ``floor(w1 (G - L + 1))``, with w1,
    w2 ~ U(0, 1) per utterance. The mean of L is r G. When L grows by one, the begin falls by 0 or 1, so masks nest. A stretch
    covers the middle more often than the ends. So a modality with far fewer frames than the grid, whose frames lie at the
    centres of wide intervals, loses more than r: a single frame with probability min(1, r / (1 - r)). The measured rate shows
    it.

    Reference: NIAT, and CIDer's STMFM.
    """

    source: ClassVar[str] = "NIAT; CIDer, arXiv 2506.10452"
    unit: ClassVar[Unit] = "frames"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "utterances"
    reaches_rate_1: ClassVar[bool] = True
    needs_aligned: ClassVar[bool] = True

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        return _StretchDraw(layout, rate, seed)
