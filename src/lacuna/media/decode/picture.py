"""Read the pictures of a clip: upright frames at given times, with gaps and late starts as times without a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.media.decode.container import Limits, open_recording, track_of
from lacuna.media.decode.window import SLACK, Window
from lacuna.media.problems import MediaError, Problem

_HOLD = 1.0  # seconds that a video frame stays valid if none follows


@dataclass(frozen=True)
class Picture:
    """A video frame.

    Attributes:
        time: seconds from the start of the clip.
        image: (height, width, 3) uint8 RGB, upright; ``None`` = there is no frame at that time.
    """

    time: float
    image: NDArray[np.uint8] | None


class Video:
    """The picture of a clip, frame by frame, so that memory does not grow with its length.

    Iterate once over it; then ``problems`` is complete.

    Args:
        path: the recording.
        start: of the clip, in seconds of the recording.
        end: of the clip, in seconds; ``None`` = the end of the recording.
        rate: pictures a second: picture i is what is shown at ``(i + 0.5) / rate``. ``None`` = every frame, at its own time.
        limits: bounds on size and time.

    Attributes:
        problems: what is wrong with the picture.
    """

    def __init__(
        self,
        path: Path,
        start: float = 0.0,
        end: float | None = None,
        *,
        rate: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.path, self.start, self.end, self.rate, self.limits = path, start, end, rate, limits or Limits()
        self.problems: list[Problem] = []
        self._track_end = 0.0  # seconds of the clip

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures.

        Raises:
            MediaError: there is no video track, or none of it can be decoded.
        """
        with open_recording(self.path, self.limits) as container:
            stream = track_of(container, "video")
            if stream is None:
                raise MediaError("no_track", "the recording has no video track")
            window = Window(self.path, container, self.start, self.end, self.limits)
            self.problems = window.problems
            yield from self._sampled(window, self._shown(window, stream))

    def _shown(self, window: Window, stream: Any) -> Iterator[tuple[float, Any]]:
        """Yield the decoded frames with their times in the clip; the first one may lie before it."""
        first, last, step = None, None, 0.04
        for frame, at in window.frames(stream):
            if frame.width * frame.height > self.limits.pixels:
                raise MediaError("too_large", f"a frame has {frame.width} x {frame.height} pixels")
            shown_at = at if at is not None else 0.0 if last is None else last + step
            first = shown_at if first is None else first
            step = shown_at - last if last is not None and 0 < shown_at - last < _HOLD else step
            last = shown_at
            yield shown_at - window.start, frame
        if first is None or last is None:
            raise window.nothing("no video frame can be decoded")
        if last + _HOLD < window.start:
            raise MediaError("outside", f"the clip begins at {window.start:.2f} s; the video ends at {last + step:.2f} s")
        self._track_end = last + step - window.start
        window.reached(last + step, "video")
        if first - window.start > SLACK:
            window.problems.append(Problem("late", f"the video begins {first - window.start:.2f} s after the clip"))

    def _sampled(self, window: Window, shown: Iterator[tuple[float, Any]]) -> Iterator[Picture]:
        if self.rate is None:
            yield from (Picture(at, _upright(frame, self.limits.side)) for at, frame in shown if at >= 0)
            return
        current: tuple[float, Any] | None = None
        index = 0

        def until(limit: float) -> Iterator[Picture]:
            """Yield the pictures of the grid before ``limit``."""
            nonlocal index
            assert self.rate
            image, ready = None, False
            while (at := (index + 0.5) / self.rate) < limit:
                if current is not None and at - current[0] <= _HOLD:
                    if not ready:
                        image, ready = _upright(current[1], self.limits.side), True
                    yield Picture(at, image)
                else:
                    yield Picture(at, None)
                index += 1

        for at, frame in shown:
            yield from until(at)
            current = (at, frame)
        yield from until(self._track_end)
        current = None
        yield from until(window.clip_end(window.start + self._track_end) - window.start)


def _upright(frame: Any, side: int) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB, scaled to the longest side and turned as the rotation flag says."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    image = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns))  # rot90 turns counter-clockwise, as the flag
