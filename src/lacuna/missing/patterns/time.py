"""Time lost in all modalities at once: scattered moments, one stretch, or some seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.missing.hashing import below, bits, stream_of, uniform
from lacuna.missing.layout import Layout, Part
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, Unit, is_number
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


_BLOCK = 512  # utterances


@dataclass(frozen=True, eq=False)
class _SecondsDraw(Draw):
    """Remove the frames in one time span of an utterance, iff its uniform number is below the rate."""

    pattern: Seconds
    rate: float
    seed: int

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        return self._inside(part, modality) & np.repeat(self._hit(part), part.count[modality])

    def measured(self) -> float:
        """Return the share of utterances that lose a frame, among those that lose one at rate 1; 0 if there are none."""
        n_hit = n_utterances = 0
        for low in range(0, len(self.layout), _BLOCK):
            part = self.layout.at(np.arange(low, min(low + _BLOCK, len(self.layout))))
            loses = np.zeros(len(part.utterance), np.bool_)
            for modality, count in part.count.items():
                inside, original = self._inside(part, modality), part.original(modality)
                removed = inside if original is None else inside & original
                loses[np.repeat(np.arange(len(count)), count)[removed]] = True
            n_hit += int((loses & self._hit(part)).sum())
            n_utterances += int(loses.sum())
        return n_hit / max(n_utterances, 1)

    def _hit(self, part: Part) -> NDArray[np.bool_]:
        return uniform(part.utterance, stream_of(self.seed, "seconds.hit")) < self.rate

    def _inside(self, part: Part, modality: str) -> NDArray[np.bool_]:
        """Return (sum count,) bool: the frame lies in the span of its utterance, whether or not the utterance is hit."""
        duration = self._duration(part)
        begin = uniform(part.utterance, stream_of(self.seed, "seconds.begin")) * np.maximum(duration - self.pattern.seconds, 0)
        count = part.count[modality]
        number = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)  # of the frame in its utterance
        even = (number + 0.5) / np.repeat(np.maximum(count, 1), count) * np.repeat(duration, count)
        times = part.seconds(modality).astype(np.float64)
        since = np.where(np.isnan(times), even, times) - np.repeat(begin, count)
        return np.asarray((since >= 0) & (since <= self.pattern.seconds))

    def _duration(self, part: Part) -> NDArray[np.float64]:
        """Return (U,) seconds from 0 to the last frame that has a time, or ``step`` for each cell of the grid if none has."""
        last = np.full(len(part.utterance), -np.inf)
        for modality in self.layout.times:
            times, count = part.seconds(modality).astype(np.float64), part.count[modality]
            known = ~np.isnan(times)
            np.maximum.at(last, np.repeat(np.arange(len(count)), count)[known], times[known])
        return np.where(np.isinf(last), part.grid * self.pattern.step, last)


@register("seconds")
@dataclass(frozen=True)
class Seconds(Pattern):
    """A time span of some seconds is lost, in all modalities together, in a share r of the utterances.

    ::

                utt 1                 utt 2              seconds=2.0, rate 0.5
        text    #   #   .   .   #     #   #   #   #
        audio   # # # # . . . . #     # # # # # # #      two frames a second
        vision  # # # # . . . . #     # # # # # # #

    The span begins at ``w max(0, D - seconds)``, w ~ U(0, 1), where D is the time of the last frame; an utterance that is not
    longer loses everything. Frames are removed by the times that the corpus stores for them. A modality without times, such
    as one vector for the whole utterance, is taken as evenly spaced over D. If no modality has times, D is ``step`` for each
    frame of the longest one. The measured rate is the share of utterances that lose a frame, among those that do at rate 1.

    Reference: none; STMFM (:class:`Stmfm`) with a length in seconds instead of a share.

    Attributes:
        seconds: length of the span, above 0.
        step: seconds a frame where no times are stored, above 0.
    """

    seconds: float = 2.0
    step: float = 0.1
    source: ClassVar[str] = "Lacuna: an outage of a given length in seconds"
    unit: ClassVar[Unit] = "utterances"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "utterances"
    reaches_rate_1: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("seconds", "step"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < float("inf"):
                raise ConfigError(f"seconds.{name} must be a finite number of seconds above 0, found {value!r}")
            object.__setattr__(self, name, float(value))

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        return _SecondsDraw(layout, self, rate, seed)
