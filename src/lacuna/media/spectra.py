"""Log-mel spectrum, energy and pitch of a sound, every 10 ms."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lacuna.media.decode import RATE, Audio

HOP = RATE // 100  # 10 ms
BANDS = 40
_WINDOW, _FFT = 400, 512  # 25 ms
_PITCH_WINDOW, _PITCH_FFT = 640, 2048  # 40 ms
_LOW, _HIGH = 60.0, 500.0  # Hz, of the pitch
_VOICED = 0.5  # height of the peak of the normalised autocorrelation
_BLOCK = 3000  # windows at a time, so that memory does not grow with the clip
COLUMNS = (*(f"mel{band}" for band in range(BANDS)), "energy", "pitch")


def contours(audio: Audio) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the contours of a sound.

    Args:
        audio: the sound of a clip.

    Returns:
        (n, 42) float64: 40 natural logs of mel energies, the level in dB relative to full scale, and the pitch in octaves
        above 100 Hz; and (n, 42) bool: observed, and for the pitch also voiced.
    """
    count = max(1, -(-len(audio.samples) // HOP))
    padded = np.zeros(count * HOP + _PITCH_WINDOW, np.float64)
    padded[_PITCH_WINDOW // 2 - HOP // 2 :][: len(audio.samples)] = audio.samples
    seen = np.add.reduceat(np.append(audio.observed, np.zeros(count * HOP - len(audio.observed))), np.arange(count) * HOP)
    blocks = list(_blocks(padded, count))
    values = np.concatenate([block for block, _ in blocks])  # (n, 42)
    valid = np.repeat((seen >= HOP / 2)[:, None], values.shape[1], axis=1)
    valid[:, -1] &= np.concatenate([voiced for _, voiced in blocks])
    return values, valid


def _blocks(padded: NDArray[np.float64], count: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield (b, 42) contours and (b,) voiced; window i is centred at the middle of hop i."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, _PITCH_WINDOW)[::HOP][:count]  # (n, 640), a view
    side = (_PITCH_WINDOW - _WINDOW) // 2
    hann = np.hanning(_WINDOW + 2)[1:-1]
    for low in range(0, count, _BLOCK):
        block = windows[low : low + _BLOCK]
        middle = block[:, side : side + _WINDOW]
        power = np.abs(np.fft.rfft(middle * hann, _FFT)) ** 2  # (b, 257)
        mel = np.log(power @ _mel_weights().T + 1e-6)  # (b, 40)
        level = 10 * np.log10((middle**2).mean(axis=1) + 1e-10)  # (b,)
        pitch, voiced = _pitch(block)
        yield np.column_stack([mel, level, pitch]), voiced & (level > -55)


def _pitch(windows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the pitch in octaves above 100 Hz by autocorrelation (Boersma, 1993, without path search), and voiced."""
    hann = np.hanning(_PITCH_WINDOW + 2)[1:-1]
    centred = (windows - windows.mean(axis=1, keepdims=True)) * hann
    shift = np.arange(int(RATE / _HIGH), int(RATE / _LOW) + 1)
    own = _autocorrelation(hann[None])[0]
    correlation = _autocorrelation(centred)
    correlation = correlation / np.maximum(correlation[:, :1], 1e-12) / (own / own[0]).clip(1e-3)
    peaks = correlation[:, shift]
    inner = (peaks[:, 1:-1] >= peaks[:, :-2]) & (peaks[:, 1:-1] >= peaks[:, 2:])
    candidates = np.where(
        inner, peaks[:, 1:-1] - 0.01 * np.log2(shift[1:-1] / shift[0]), -1.0
    )  # a slight preference for short shifts
    best = candidates.argmax(axis=1)
    height = np.take_along_axis(peaks, best[:, None] + 1, axis=1)[:, 0]
    voiced = (candidates.max(axis=1) > 0) & (height > _VOICED)
    return np.log2(RATE / shift[best + 1] / 100.0), voiced


def _autocorrelation(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(windows, _PITCH_FFT)
    correlation: NDArray[np.float64] = np.fft.irfft(np.abs(spectrum) ** 2, _PITCH_FFT)[:, : _PITCH_WINDOW // 2]
    return correlation


@lru_cache
def _mel_weights() -> NDArray[np.float64]:
    """Return (40, 257) triangular weights between 50 and 7600 Hz, equally wide on the mel scale."""
    edges = np.linspace(_mel(50.0), _mel(7600.0), BANDS + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    weights: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return weights


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))
