"""Write sound and pictures as one MP4."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lacuna.media.decode import RATE


def movie(sound: NDArray[np.float32] | None, pictures: NDArray[np.uint8] | None, fps: int, bit_rate: int = 200_000) -> bytes:
    """Return the content of an MP4 file.

    Args:
        sound: (n,) float32 at 16 kHz; ``None`` = no audio track.
        pictures: (F, height, width, 3) uint8 RGB; ``None`` = no video track.
        fps: pictures a second.
        bit_rate: of the picture, bits a second.
    """
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        video = audio = None
        if pictures is not None:
            video = file.add_stream("mpeg4", rate=fps)
            video.height, video.width = pictures.shape[1:3]
            video.pix_fmt, video.bit_rate = "yuv420p", bit_rate
        if sound is not None:
            audio = file.add_stream("aac", rate=RATE, layout="mono")
            audio.bit_rate = 48_000
        if video is not None and pictures is not None:
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, fps)
                file.mux(video.encode(frame))
            file.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
            for low in range(0, len(samples), 1024):
                piece = av.AudioFrame.from_ndarray(samples[None, low : low + 1024], format="s16", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = RATE, low, Fraction(1, RATE)
                file.mux(audio.encode(piece))
            file.mux(audio.encode(None))
    return buffer.getvalue()
