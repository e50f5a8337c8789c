"""Read the sound and the picture of a recording on one clock, with bounds on time and memory.

Time 0 is the first presentation time of the recording, for all tracks. A track that begins later, a gap, and a part that
cannot be decoded are *not observed*: they are neither zero nor shifted. Requires the extra ``media`` (PyAV).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.media.problems import MediaError, Problem

if TYPE_CHECKING:
    from av.container import InputContainer

RATE = 16_000  # samples a second of every decoded sound
SLACK = 0.25  # seconds by which a track may end before the promised duration
_RATES = (2_000, 768_000)  # Hz, of the audio track
_GAP = 0.05  # seconds between two audio frames above which there is a gap
_HOLD = 1.0  # seconds that a video frame stays valid if none follows
_SEEK = 10.0  # a clip that begins later is looked up, not decoded from the start
# Containers of one recording. Playlists are refused: they open other files.
FORMATS = "wav,w64,flac,mp3,ogg,aac,amr,aiff,caf,au,asf,mov,matroska,avi,flv,mpegts,mpeg,3gp,webm"
# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".aac", ".aif", ".aiff", ".avi", ".caf", ".flac", ".flv", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg",
    ".mpg", ".oga", ".ogg", ".opus", ".ts", ".wav", ".webm", ".wma", ".wmv",
})
# fmt: on
_INACCURATE_SEEK = {"mp3", "aac", "amr", "mpegts", "mpeg", "flv"}


@dataclass(frozen=True)
class Limits:
    """Bounds of one decoding pass.

    Attributes:
        clip_seconds: longest clip; the rest is cut off. Half an hour of sound takes 115 MB.
        pixels: largest picture, width times height.
        side: longest side of a returned picture; larger ones are scaled down.
        wait: seconds that a pass may take.
    """

    clip_seconds: float = 1800.0
    pixels: int = 8192 * 4320
    side: int = 960
    wait: float = 600.0


@dataclass(frozen=True)
class Tracks:
    """What a recording says about itself; nothing is decoded.

    Attributes:
        format: short name of the container.
        duration: promised duration in seconds, or ``None``.
        audio: whether there is an audio track.
        video: whether there is a video track that is no cover picture.
        sampling_rate: of the audio track in Hz, or ``None``.
        size: width and height of the video track in pixels, or ``None``.
    """

    format: str
    duration: float | None
    audio: bool
    video: bool
    sampling_rate: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Audio:
    """The sound of a clip.

    Attributes:
        samples: (N,) float32 mono at 16 kHz, 0 where not observed; sample i is at ``i / 16000`` seconds of the clip.
        observed: (N,) bool.
        problems: what was wrong.
    """

    samples: NDArray[np.float32]
    observed: NDArray[np.bool_]
    problems: tuple[Problem, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration of the clip in seconds."""
        return len(self.samples) / RATE


@dataclass(frozen=True)
class Picture:
    """A video frame.

    Attributes:
        time: seconds from the start of the clip.
        image: (height, width, 3) uint8 RGB, upright; ``None`` = there is no frame at that time.
    """

    time: float
    image: NDArray[np.uint8] | None


def inspect(path: Path) -> Tracks:
    """Return which tracks a recording has and how long it says it is.

    Raises:
        MediaError: the file is missing, empty or no recording.
    """
    with _open(path, Limits()) as container:
        audio, video = _stream(container, "audio"), _stream(container, "video")
        return Tracks(
            format=container.format.name.split(",")[0],
            duration=_promised(path, container),
            audio=audio is not None,
            video=video is not None,
            sampling_rate=audio and int(audio.codec_context.sample_rate),
            size=video and (int(video.codec_context.width), int(video.codec_context.height)),
        )


def read_audio(path: Path, start: float = 0.0, end: float | None = None, limits: Limits | None = None) -> Audio:
    """Return the sound of a clip as mono samples at 16 kHz.

    Args:
        path: the recording.
        start: of the clip, in seconds of the recording.
        end: of the clip; ``None`` = the end of the recording.
        limits: bounds on size and time.

    Raises:
        MediaError: there is no sound, or none of it can be decoded.
    """
    import av

    limits = limits or Limits()
    with _open(path, limits) as container:
        stream = _stream(container, "audio")
        if stream is None:
            raise MediaError("no_track", "the recording has no audio track")
        window = _Window(path, container, start, end, limits)
        pieces: list[tuple[float, NDArray[np.float32]]] = []  # time of the first sample, samples
        resampler: Any = None
        expected = 0.0  # time at which the next frame should begin

        def keep(frames: list[Any]) -> None:
            for frame in frames:
                samples = frame.to_ndarray().reshape(-1).astype(np.float32)  # (1, n) -> (n,)
                at, last = pieces[-1]
                if at + (len(last) + len(samples)) / RATE <= window.end + 1:
                    pieces[-1] = (at, np.concatenate([last, samples])) if len(last) < RATE else pieces[-1]
                    if len(last) >= RATE:  # a new piece, so that joining stays cheap
                        pieces.append((at + len(last) / RATE, samples))

        for frame, at in window.frames(stream):
            if not _RATES[0] <= frame.sample_rate <= _RATES[1]:  # a damaged header; at 1 Hz a second would take hours
                raise MediaError("sampling", f"a sampling rate of {frame.sample_rate} Hz is not credible")
            begins = expected if at is None else at
            try:
                if resampler is None or abs(begins - expected) > _GAP:
                    if resampler is not None:
                        keep(resampler.resample(None))
                    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
                    pieces.append((begins, np.zeros(0, np.float32)))
                frame.pts = None
                keep(resampler.resample(frame))
            except window.broken:
                window.bad += 1
                resampler = None
                continue
            expected = begins + frame.samples / frame.sample_rate
        if resampler is not None:
            keep(resampler.resample(None))
    return _joined(pieces, window)


def _joined(pieces: list[tuple[float, NDArray[np.float32]]], window: _Window) -> Audio:
    """Put the pieces on the clock of the clip."""
    ends = [at + len(samples) / RATE for at, samples in pieces if len(samples)]
    if not ends:
        raise MediaError("no_samples", window.reason("no audio can be decoded"))
    last = min(max(ends), window.end)
    window.reached(last, "audio")
    size = max(0, round((window.clip_end(last) - window.start) * RATE))
    samples, observed = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    for at, piece in pieces:
        first = round((at - window.start) * RATE)
        low, high = max(0, first), min(size, first + len(piece))
        if low < high:
            samples[low:high] = piece[low - first : high - first]
            observed[low:high] = True
    if not observed.any():
        raise MediaError("outside", f"the clip begins at {window.start:.2f} s; the audio ends at {max(ends):.2f} s")
    finite = np.isfinite(samples)
    if not finite.all():
        window.problems.append(Problem("corrupt", f"{1 - finite.mean():.1%} of the samples are not finite"))
        observed &= finite
        samples[~finite] = 0
        if not observed.any():
            raise MediaError("no_samples", "no sample of the audio is finite")
    if (late := int(observed.argmax()) / RATE) > SLACK:
        window.problems.append(Problem("late", f"the audio begins {late:.2f} s after the clip"))
    return Audio(np.clip(samples, -1, 1), observed, tuple(window.problems))


class Video:
    """The picture of a clip, frame by frame, so that memory does not grow with its length.

    Iterate once over it; then ``problems`` is complete.

    Args:
        path: the recording.
        start: of the clip, in seconds of the recording.
        end: of the clip; ``None`` = the end of the recording.
        rate: pictures a second: picture i is what is shown at ``(i + 0.5) / rate``. ``None`` = every frame, at its own time.
        limits: bounds on size and time.
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
        with _open(self.path, self.limits) as container:
            stream = _stream(container, "video")
            if stream is None:
                raise MediaError("no_track", "the recording has no video track")
            window = _Window(self.path, container, self.start, self.end, self.limits)
            self.problems = window.problems
            yield from self._sampled(window, self._shown(window, stream))

    def _shown(self, window: _Window, stream: Any) -> Iterator[tuple[float, Any]]:
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
            raise MediaError("no_samples", window.reason("no video frame can be decoded"))
        if last + _HOLD < window.start:
            raise MediaError("outside", f"the clip begins at {window.start:.2f} s; the video ends at {last + step:.2f} s")
        self._track_end = last + step - window.start
        window.reached(last + step, "video")
        if first - window.start > SLACK:
            window.problems.append(Problem("late", f"the video begins {first - window.start:.2f} s after the clip"))

    def _sampled(self, window: _Window, shown: Iterator[tuple[float, Any]]) -> Iterator[Picture]:
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


class _Window:
    """The part of a recording that is decoded, and what goes wrong in it."""

    def __init__(self, path: Path, container: InputContainer, start: float, end: float | None, limits: Limits) -> None:
        import av

        self.broken = (av.FFmpegError, ValueError, OverflowError, MemoryError)
        self.container, self.start, self.limits = container, start, limits
        self.promised = _promised(path, container)
        self.origin = max(0.0, (container.start_time or 0) / 1e6)
        self.problems: list[Problem] = []
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
        """Yield decoded frames with their times in the recording in seconds; packets that cannot be decoded are counted."""
        stream.thread_type = "NONE"
        deadline = time.monotonic() + self.limits.wait
        if self.start > _SEEK and self.container.format.name.split(",")[0] not in _INACCURATE_SEEK:
            self.container.seek(int((self.start - 2 + self.origin) / stream.time_base), stream=stream)
        packets = self.container.demux(stream)
        while True:
            if time.monotonic() > deadline:
                self.problems.append(Problem("too_slow", f"stopped after {self.limits.wait:.0f} s of decoding"))
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
        """Return where the clip ends: at the given end, at the promised end if it is credible, or at ``last``."""
        if self.fixed:
            return self.end
        credible = self.promised is not None and self.promised < 2 * last + 60
        return min(self.end, self.promised if credible and self.promised is not None else last)

    def reached(self, last: float, track: str) -> None:
        """Note what could not be decoded, and an early end at ``last`` seconds."""
        if self.bad:
            self.problems.append(Problem("corrupt", f"{self.bad} packets of the {track} track cannot be decoded"))
        if self.promised is None:
            return
        promised = min(self.end, self.promised)
        if promised - last > SLACK:
            self.problems.append(
                Problem("truncated", f"the {track} ends at {last:.2f} s of {promised:.2f} s; {promised - last:.2f} s are missing")
            )

    def reason(self, what: str) -> str:
        """Return a sentence with the error of the decoder, if there was one."""
        return f"{what} ({self.bad} bad packets, {self.error})" if self.bad else what


def packet_ended(error: BaseException, n_errors: int) -> bool:
    """Return whether decoding cannot go on after an error: at the end of the file, or after very many errors."""
    return type(error).__name__ == "EOFError" or n_errors > 10_000


def _open(path: Path, limits: Limits) -> InputContainer:
    import av

    if not path.is_file():
        raise MediaError("no_file", f"there is no file {path.name}")
    if not path.stat().st_size:
        raise MediaError("empty", f"{path.name} has no bytes")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(str(path), options=options, timeout=(min(30.0, limits.wait), min(30.0, limits.wait)))
    except (av.FFmpegError, ValueError, OverflowError, MemoryError) as error:
        raise MediaError("unreadable", f"{path.name} is no recording that can be read ({type(error).__name__})") from None


def _stream(container: InputContainer, kind: str) -> Any:
    """Return the first track of a kind that has a decoder and is no cover picture; ``None`` if there is none."""
    for stream in container.streams:
        attached = "attached_pic" in str(getattr(stream, "disposition", "")).lower()
        if stream.type == kind and stream.codec_context is not None and stream.time_base and not attached:
            return stream
    return None


def _promised(path: Path, container: InputContainer) -> float | None:
    """Return the duration that the container promises in seconds; for WAV that of its header, as the library hides it."""
    if container.format.name == "wav" and (seconds := _wav_seconds(path)) is not None:
        return seconds
    return container.duration / 1e6 if container.duration and container.duration > 0 else None


def _wav_seconds(path: Path) -> float | None:
    """Return the duration of the ``data`` chunk by the header of a WAV file; ``None`` if the header does not say."""
    with path.open("rb") as handle:
        if handle.read(4) != b"RIFF" or len(handle.read(8)) < 8:
            return None
        bytes_a_second = 0
        for _ in range(100):
            header = handle.read(8)
            if len(header) < 8:
                return None
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                known = bytes_a_second and 0 < size < 0xFFFFFF00
                return size / bytes_a_second if known else None
            body = handle.read(16) if name == b"fmt " and size >= 16 else b""
            if len(body) == 16:
                bytes_a_second = struct.unpack("<I", body[8:12])[0]
            handle.seek(size + size % 2 - len(body), 1)
    return None


def _upright(frame: Any, side: int) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB, scaled to the longest side and turned as the rotation flag says."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    image = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns))  # rot90 turns counter-clockwise, as the flag
