"""Time lost for all modalities at once: scattered moments, or one stretch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.missing.hashing import below, bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, Unit
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _MomentDraw(Draw):
    rate: float
    seed: int

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        count, grid = part.count[modality], part.grid
        key = bits(part.utterance, stream_of(self.seed, "tmfm.cell"))
        return below(key, self.rate, count, None if np.array_equal(count, grid) else grid)


@dataclass(frozen=True, eq=False)
class _StretchDraw(Draw):
    rate: float
    seed: int

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        key, count, grid = part.utterance, part.count[modality], part.grid
        length = np.floor(self.rate * grid + uniform(key, stream_of(self.seed, "stmfm.length"))).astype(np.int64)
        start = np.floor(uniform(key, stream_of(self.seed, "stmfm.start")) * (grid - length + 1)).astype(np.int64)
        low, high = _first_frame(start, count, grid), _first_frame(start + length, count, grid)
        runs = np.stack([low, high - low, count - high], axis=1)  # kept, lost, kept
        return np.repeat(np.tile([False, True, False], len(rows)), runs.reshape(-1))


def _first_frame(cell: NDArray[np.int64], count: NDArray[np.int64], grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """Smallest frame t with ``floor((t + 1/2) * grid / count) >= cell``, or count: ``ceil((2 count cell - grid) / 2 grid)``."""
    twice = 2 * np.maximum(grid, 1)
    return np.asarray(np.minimum(-((grid - 2 * count * cell) // twice), count))


@register("tmfm")
@dataclass(frozen=True)
class Tmfm(Pattern):
    """Temporal modality feature missing: moments are lost, in all modalities together.

    An utterance has a grid of G = max_m T_m cells; frame t of modality m lies in cell ``floor((t + 1/2) * G / T_m)`` and is
    missing iff the cell's v < r, v ~ U(0, 1). Where modalities are aligned the mask is the same in each.

    Source: NIAT, and CIDer's TMFM, which needs aligned data; the grid makes it hold for any lengths.
    Rate 1 removes everything.
    """

    unit: ClassVar[Unit] = "frames"

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        return _MomentDraw(layout, rate, seed)


@register("stmfm")
@dataclass(frozen=True)
class Stmfm(Pattern):
    """Structural temporal modality feature missing: one contiguous stretch is lost, in all modalities together.

    On the grid of :class:`Tmfm` the stretch has ``L = floor(r G + w2)`` cells and begins at ``floor(w1 (G - L + 1))``, with w1,
    w2 ~ U(0, 1) an utterance. The mean of L is r G. When L grows by one, the begin falls by 0 or 1, so masks nest. A stretch
    covers the middle more often than the ends, so a modality with far fewer frames than the grid, whose frames sit at the
    centres of wide intervals, loses more than r: a single frame min(1, r / (1 - r)). The measured rate tells.

    Source: NIAT, and CIDer's STMFM.
    Rate 1 removes everything.
    """

    unit: ClassVar[Unit] = "frames"

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        return _StretchDraw(layout, rate, seed)
