"""Open a recording: which tracks it has, and how long it says it is. Nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.media.problems import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers of one recording. Playlists are refused: they open other files.
FORMATS = "wav,w64,flac,mp3,ogg,aac,amr,aiff,caf,au,asf,mov,matroska,avi,flv,mpegts,mpeg,3gp,webm"
# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".aac", ".aif", ".aiff", ".avi", ".caf", ".flac", ".flv", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg",
    ".mpg", ".oga", ".ogg", ".opus", ".ts", ".wav", ".webm", ".wma", ".wmv",
})
# fmt: on


@dataclass(frozen=True)
class Limits:
    """Bounds of one decoding pass.

    Attributes:
        clip_seconds: longest clip in seconds; the rest is cut off. Half an hour of sound takes 115 MB.
        pixels: largest picture in pixels, width times height.
        side: longest side of a returned picture in pixels; larger ones are scaled down.
        wait: seconds of wall time that a pass may take.
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


def inspect(path: Path) -> Tracks:
    """Return which tracks a recording has and how long it says it is.

    Args:
        path: the recording.

    Raises:
        MediaError: the file is missing, empty or no recording.
    """
    with open_recording(path, Limits()) as container:
        audio, video = track_of(container, "audio"), track_of(container, "video")
        return Tracks(
            format=container.format.name.split(",")[0],
            duration=promised_seconds(path, container),
            audio=audio is not None,
            video=video is not None,
            sampling_rate=audio and int(audio.codec_context.sample_rate),
            size=video and (int(video.codec_context.width), int(video.codec_context.height)),
        )


def open_recording(path: Path, limits: Limits) -> InputContainer:
    """Open a recording with PyAV; only files are opened, and only the containers of :data:`FORMATS`.

    Args:
        path: the recording.
        limits: ``wait`` bounds the seconds that opening and one read may take, at most 30.

    Raises:
        MediaError: the file is missing, empty or no recording.
    """
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


def track_of(container: InputContainer, kind: str) -> Any:
    """Return the first track that has a decoder and is no cover picture; ``None`` if there is none.

    Args:
        container: an open recording.
        kind: ``audio`` or ``video``.
    """
    for stream in container.streams:
        attached = "attached_pic" in str(getattr(stream, "disposition", "")).lower()
        if stream.type == kind and stream.codec_context is not None and stream.time_base and not attached:
            return stream
    return None


def promised_seconds(path: Path, container: InputContainer) -> float | None:
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
