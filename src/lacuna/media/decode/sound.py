"""Read the sound of a clip: mono samples at 16 kHz, with gaps and late starts marked as not observed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.media.decode.container import Limits, open_recording, track_of
from lacuna.media.decode.window import SLACK, Window
from lacuna.media.problems import MediaError, Problem

RATE = 16_000  # samples a second of every decoded sound
_RATES = (2_000, 768_000)  # Hz, of the audio track
_GAP = 0.05  # seconds between two audio frames above which there is a gap


@dataclass(frozen=True)
class Audio:
    """The sound of a clip.

    Attributes:
        samples: (N,) float32 mono at 16 kHz, 0 where not observed; sample i is at ``i / 16000`` seconds of the clip.
        observed: (N,) bool.
        problems: what is wrong with the sound.
    """

    samples: NDArray[np.float32]
    observed: NDArray[np.bool_]
    problems: tuple[Problem, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration of the clip in seconds."""
        return len(self.samples) / RATE


def read_audio(path: Path, start: float = 0.0, end: float | None = None, limits: Limits | None = None) -> Audio:
    """Return the sound of a clip as mono samples at 16 kHz.

    Args:
        path: the recording.
        start: of the clip, in seconds of the recording.
        end: of the clip, in seconds; ``None`` = the end of the recording.
        limits: bounds on size and time.

    Raises:
        MediaError: there is no sound, or none of it can be decoded.
    """
    import av

    limits = limits or Limits()
    with open_recording(path, limits) as container:
        stream = track_of(container, "audio")
        if stream is None:
            raise MediaError("no_track", "the recording has no audio track")
        window = Window(path, container, start, end, limits)
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


def _joined(pieces: list[tuple[float, NDArray[np.float32]]], window: Window) -> Audio:
    """Put the pieces, each with the time of its first sample in seconds of the recording, on the clock of the clip."""
    ends = [at + len(samples) / RATE for at, samples in pieces if len(samples)]
    if not ends:
        raise window.nothing("no audio can be decoded")
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
