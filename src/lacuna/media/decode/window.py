"""Decode the part of a track that a clip needs, on the clock of the recording, and note what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lacuna.media.decode.container import Limits, promised_seconds
from lacuna.media.problems import MediaError, Problem

if TYPE_CHECKING:
    from av.container import InputContainer

SLACK = 0.25  # seconds by which a track may end before the promised duration
_SEEK = 10.0  # a clip that begins later is looked up, not decoded from the start
_INACCURATE_SEEK = {"mp3", "aac", "amr", "mpegts", "mpeg", "flv"}


class Window:
    """The part of a recording that is decoded, and what goes wrong in it. All times are seconds of the recording.

    Args:
        path: the recording.
        container: the same recording, open.
        start: of the clip, 0 or later.
        end: of the clip; ``None`` = the end of the recording.
        limits: bounds on size and time.

    Attributes:
        promised: duration by the header, or ``None``.
        problems: what is wrong; complete after :meth:`reached`.
        too_slow: the problem among them that decoding stopped at the limit of time; ``None`` if it did not.
        bad: number of packets that cannot be decoded.
        broken: types of errors that a damaged recording raises.

    Raises:
        MediaError: the clip is empty, or begins behind the promised end.
    """

    def __init__(self, path: Path, container: InputContainer, start: float, end: float | None, limits: Limits) -> None:
        import av

        self.broken = (av.FFmpegError, ValueError, OverflowError, MemoryError)
        self.container, self.start, self.limits = container, start, limits
        self.promised = promised_seconds(path, container)
        self.origin = max(0.0, (container.start_time or 0) / 1e6)
        self.problems: list[Problem] = []
        self.too_slow: Problem | None = None
        self.bad = 0
        self.error = ""
        self.fixed = end is not None
        if start < 0 or (end is not None and not start < end):
            raise MediaError("outside", f"a clip from {start} s to {end} s is empty")
        if self.promised is not None and start >= self.promised + SLACK:
            raise MediaError("outside", f"the clip begins at {start:.2f} s; the recording has {self.promised:.2f} s")
        wanted = end if end is not None else self.promised + SLACK if self.promised else np.inf
        self.end = min(wanted, start + limits.clip_seconds)
        seconds = min(wanted, self.promised or np.inf) - start
        if np.isfinite(seconds) and seconds > limits.clip_seconds:
            self.problems.append(Problem("too_long", f"cut to {limits.clip_seconds:.0f} s of {seconds:.0f} s"))

    def frames(self, stream: Any) -> Iterator[tuple[Any, float | None]]:
        """Yield decoded frames, each with its time in seconds, or ``None`` if the recording does not say it.

        Packets that cannot be decoded are counted.
        """
        stream.thread_type = "NONE"
        deadline = time.monotonic() + self.limits.wait
        if self.start > _SEEK and self.container.format.name.split(",")[0] not in _INACCURATE_SEEK:
            self.container.seek(int((self.start - 2 + self.origin) / stream.time_base), stream=stream)
        packets = self.container.demux(stream)
        while True:
            if time.monotonic() > deadline:
                self.too_slow = Problem("too_slow", f"stopped after {self.limits.wait:.0f} s of decoding")
                self.problems.append(self.too_slow)
                return
            try:
                packet = next(packets, None)
                decoded = [] if packet is None else packet.decode()
            except self.broken as error:
                self.error = f"{type(error).__name__}"
                self.bad += 1
                if packet_ended(error, self.bad):
                    return
                continue
            if packet is None:
                return
            for frame in decoded:
                at = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base) - self.origin
                if at is not None and at >= self.end:
                    return
                yield frame, at

    def clip_end(self, last: float) -> float:
        """Return where the clip ends in seconds: at the given end, at the promised end if it is credible, or at ``last``."""
        if self.fixed:
            return self.end
        credible = self.promised is not None and self.promised < 2 * last + 60
        return min(self.end, self.promised if credible and self.promised is not None else last)

    def reached(self, last: float, track: str) -> None:
        """Note what could not be decoded, and an early end of the track ``audio`` or ``video`` at ``last`` seconds.

        Nothing is said of the end if decoding stopped before it.
        """
        if self.bad:
            packets = "1 packet" if self.bad == 1 else f"{self.bad} packets"
            self.problems.append(Problem("corrupt", f"{packets} of the {track} track cannot be decoded"))
        if self.promised is None or self.too_slow is not None:
            return
        promised = min(self.end, self.promised)
        if promised - last > SLACK:
            self.problems.append(
                Problem("truncated", f"the {track} ends at {last:.2f} s of {promised:.2f} s; {promised - last:.2f} s are missing")
            )

    def nothing(self, what: str) -> MediaError:
        """Return the error of a track without a decoded frame: it took too long, or it cannot be decoded.

        Args:
            what: sentence for a track that did not take too long; the error of the decoder is added, if there was one.
        """
        if self.too_slow is not None:
            return MediaError("too_slow", f"{self.too_slow.reason}, before the first frame")
        return MediaError("no_samples", f"{what} ({self.bad} bad packets, {self.error})" if self.bad else what)


def packet_ended(error: BaseException, n_errors: int) -> bool:
    """Return whether decoding cannot go on after an error: at the end of the file, or after very many errors."""
    return type(error).__name__ == "EOFError" or n_errors > 10_000
