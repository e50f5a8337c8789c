"""Small recordings that tests write themselves: a gliding tone, and a picture whose brightness tells the time."""

from __future__ import annotations

import io
import wave
from fractions import Fraction

import numpy as np
import pytest

from lacuna.media.assets import ASSETS, find

av = pytest.importorskip("av")
RATE = 16_000


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test without these assets, by default all of them."""
    return pytest.mark.skipif(any(find(name) is None for name in names or ASSETS), reason="run `lacuna assets fetch`")


needs_weights = needs("minilm-config", "minilm-tokenizer", "minilm-weights", "face-landmarker")


def glide(seconds: float, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    """A voice-like tone whose pitch rises from 100 Hz by an octave a second: (n,) float32."""
    at = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * 100 * (2.0 ** np.minimum(at, 2) - 1) / np.log(2)
    return (level * sum(np.sin(k * phase) / k for k in (1, 2, 3)) / 1.5).astype(np.float32)


def wav_bytes(samples: np.ndarray, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def movie_bytes(
    container: str = "mp4", seconds: float = 2.0, *, audio: bool = True, video: bool = True, late: float = 0.0, fps: int = 25
) -> bytes:
    """A recording; the brightness of a frame is 100 times its time in seconds."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format={"mkv": "matroska"}.get(container, container)) as file:
        if video:
            stream = file.add_stream("mpeg4", rate=fps)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 400_000
        if audio:
            sound = file.add_stream("flac" if container in ("mkv", "flac") else "aac", rate=RATE, layout="mono")
        for index in range(round((seconds - late) * fps) if video else 0):
            image = np.full((48, 64, 3), min(255, 100 * (late + index / fps)), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index + round(late * fps), Fraction(1, fps)
            for packet in stream.encode(frame):
                file.mux(packet)
        if video:
            file.mux(stream.encode(None))
        if audio:
            samples = (glide(seconds) * 32767).astype(np.int16)
            for low in range(0, len(samples), 1024):
                frame = av.AudioFrame.from_ndarray(samples[None, low : low + 1024], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, low, Fraction(1, RATE)
                file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
    return buffer.getvalue()
