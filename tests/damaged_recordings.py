"""Damaged recordings that tests make of intact ones, with what is wrong with them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from media_recordings import RATE, glide, movie_bytes, wav_bytes

Files = dict[str, bytes]


def header(wav: bytes, **changes: int) -> bytes:
    """Change fields of the header of a WAV file."""
    places = {"channels": ("<H", 22), "rate": ("<I", 24), "bytes_a_second": ("<I", 28), "bits": ("<H", 34), "size": ("<I", 40)}
    content = bytearray(wav)
    for name, value in changes.items():
        kind, place = places[name]
        struct.pack_into(kind, content, place, value)
    return bytes(content)


def float_wav(samples: np.ndarray) -> bytes:
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<IHHIIHH", 16, 3, 1, RATE, RATE * 4, 4, 32)
    size = len(data)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + data


def with_hole(content: bytes, low: float, high: float, fill: bytes = b"\0") -> bytes:
    first, last = int(len(content) * low), int(len(content) * high)
    return content[:first] + (fill * (last - first))[: last - first] + content[last:]


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "nothing")
    return buffer.getvalue()


def noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def with_nan(samples: np.ndarray) -> np.ndarray:
    samples[1000:9000] = np.nan
    return samples


# name of the file, its content from the intact files, the kinds of problems of the sound, and whether it is used
DAMAGE: dict[str, tuple[str, Callable[[Files], bytes], set[str], bool]] = {
    "no bytes": ("a.wav", lambda good: b"", {"empty"}, False),
    "one byte": ("a.wav", lambda good: b"R", {"unreadable"}, False),
    "text": ("a.wav", lambda good: b"this is no recording\n" * 50, {"unreadable"}, False),
    "zeros": ("a.mp4", lambda good: bytes(4096), {"unreadable"}, False),
    "noise": ("a.mkv", lambda good: noise(4096), {"unreadable"}, False),
    "a zip archive": ("a.mp4", lambda good: zipped(), {"unreadable"}, False),
    "a web page": ("a.mp4", lambda good: b"<!DOCTYPE html><html><body>404</body></html>", {"unreadable"}, False),
    "a Git LFS pointer": (
        "a.wav",
        lambda good: b"version https://git-lfs.github.com/spec/v1\n",
        {"unreadable"},
        False,
    ),
    "a playlist": ("a.mp4", lambda good: b"#EXTM3U\n#EXTINF:2,\nb.mp4\n#EXT-X-ENDLIST\n", {"unreadable"}, False),
    "a list of files": ("a.wav", lambda good: b"ffconcat version 1.0\nfile b.wav\n", {"unreadable"}, False),
    "wav: the header only": ("a.wav", lambda good: good["wav"][:44], {"no_samples"}, False),
    "wav: half of the header": ("a.wav", lambda good: good["wav"][:20], {"unreadable"}, False),
    "wav: cut": ("a.wav", lambda good: good["wav"][:30_000], {"truncated"}, True),
    "wav: cut inside a sample": ("a.wav", lambda good: good["wav"][:30_001], {"truncated"}, True),
    "wav: a day": (
        "a.wav",
        lambda good: header(good["wav"], size=RATE * 2 * 86_400),
        {"truncated", "too_long"},
        True,
    ),
    "wav: no duration": ("a.wav", lambda good: header(good["wav"], size=0xFFFFFFFF), set(), True),
    "wav: 0 Hz": ("a.wav", lambda good: header(good["wav"], rate=0), {"unreadable"}, False),
    "wav: 3 Hz": ("a.wav", lambda good: header(good["wav"], rate=3), {"sampling"}, False),
    "wav: no channels": ("a.wav", lambda good: header(good["wav"], channels=0), {"no_samples"}, False),
    "wav: not finite": ("a.wav", lambda good: float_wav(with_nan(glide(2))), {"corrupt"}, True),
    "wav: only not finite": ("a.wav", lambda good: float_wav(np.full(9000, np.nan)), {"no_samples"}, False),
    "wav: silent": ("a.wav", lambda good: wav_bytes(np.zeros(RATE)), {"silent"}, False),
    "wav: clipped": ("a.wav", lambda good: wav_bytes(glide(1, level=9)), {"clipped"}, True),
    "wav: 4 kHz": ("a.wav", lambda good: wav_bytes(glide(1, 4000), 4000), {"sampling"}, True),
    "wav: 5 ms": ("a.wav", lambda good: wav_bytes(glide(0.005)), set(), True),
    "flac: cut": ("a.flac", lambda good: good["flac"][: len(good["flac"]) // 2], {"truncated", "corrupt"}, True),
    "flac: the head is gone": ("a.flac", lambda good: good["flac"][9000:], {"corrupt"}, True),
    "mp4: cut, the index is gone": ("a.mp4", lambda good: good["mp4"][: len(good["mp4"]) // 2], {"unreadable"}, False),
    "mp4: the head is gone": ("a.mp4", lambda good: good["mp4"][500:], {"unreadable"}, False),
    "mp4: a hole of zeros": ("a.mp4", lambda good: with_hole(good["mp4"], 0.3, 0.6), {"corrupt"}, True),
    "mp4: twice": ("a.mp4", lambda good: good["mp4"] * 2, set(), True),
    "mp4: no sound": ("a.mp4", lambda good: movie_bytes(audio=False), {"no_track"}, False),
    "mkv: cut": ("a.mkv", lambda good: good["mkv"][: len(good["mkv"]) // 2], {"truncated"}, True),
    "mkv: a hole of noise": ("a.mkv", lambda good: with_hole(good["mkv"], 0.4, 0.6, noise(5000)), {"corrupt"}, True),
    "avi: cut": ("a.avi", lambda good: good["avi"][: len(good["avi"]) // 2], {"truncated"}, True),
}
