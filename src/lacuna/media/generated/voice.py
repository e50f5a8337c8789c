"""Speak a sentence: formant synthesis from letters, in numpy.

A pulse train and noise pass three resonators (Klatt, Software for a cascade/parallel formant synthesizer, JASA 1980, much
simplified). The result sounds like speech; it need not be understood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from lacuna.media.decode import RATE

_VOWELS = {  # Hz of the first three formants
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (300, 2240, 2900),
    "o": (570, 840, 2410),
    "u": (320, 900, 2240),
    "y": (300, 2240, 2900),
}
_VOICED = {"m": (250, 1000, 2200), "n": (250, 1500, 2400), "l": (360, 1300, 2700), "r": (420, 1250, 1600), "w": (300, 700, 2200)}
_NOISE = {"s": 5500, "z": 5500, "f": 3500, "v": 3500, "c": 4000, "h": 1500, "x": 5000, "j": 3200}  # Hz of the centre


@dataclass(frozen=True)
class Voice:
    """What does not change in a speaker's voice.

    Attributes:
        pitch: Hz.
        tract: factor of the formants; above 1 is a shorter vocal tract.
        breath: share of noise in the voice, in [0, 1].
    """

    pitch: float
    tract: float
    breath: float


@dataclass(frozen=True)
class Prosody:
    """How a sentence is said; factors of a neutral reading.

    Attributes:
        pitch: factor of the pitch.
        range: movement of the pitch in octaves.
        fall: octaves by which the pitch falls until the end; negative = it rises.
        rate: factor of the speed.
        level: root mean square of full scale.
        bright: share of high frequencies added, in [0, 1].
    """

    pitch: float = 1.0
    range: float = 0.12
    fall: float = 0.15
    rate: float = 1.0
    level: float = 0.10
    bright: float = 0.2


def speak(text: str, voice: Voice, prosody: Prosody, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the sound of a sentence: (n,) float32 in [-1, 1] at 16 kHz.

    Args:
        text: letters and spaces; other characters are skipped.
        voice: of the speaker.
        prosody: how the sentence is said.
        rng: draws noise and movements of the pitch.
    """
    segments = _segments(text, prosody.rate)
    total = sum(length for length, _, _ in segments)
    formants = np.zeros((3, total))  # Hz at every sample
    voiced, noise, centre = np.zeros(total), np.zeros(total), np.full(total, 3000.0)
    low = 0
    for length, kind, value in segments:
        part = slice(low, low + length)
        envelope = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 160)  # 10 ms at either end
        if kind == "noise":
            noise[part], centre[part] = 0.25 * envelope, value[0]
        elif kind == "burst":
            noise[part], centre[part] = 0.3 * envelope * (np.arange(length) > 0.6 * length), 2500.0
        elif kind == "voiced":
            voiced[part] = (0.5 if value in _VOICED.values() else 1.0) * envelope
        formants[:, part] = np.array(value if kind == "voiced" else (500, 1500, 2500))[:, None] * voice.tract
        low += length
    formants = lfilter([0.02], [1, -0.98], formants, axis=1, zi=0.98 * formants[:, :1])[0]  # glide from sound to sound
    at = np.arange(total) / max(1, total)
    wobble = (
        np.sin(2 * np.pi * (at * total / RATE * 2.2 + rng.random())) + 0.3 * rng.normal(size=total // 800 + 2).repeat(800)[:total]
    )
    octaves = prosody.range * wobble - prosody.fall * (at - 0.5)
    frequency = voice.pitch * prosody.pitch * 2.0**octaves
    phase = np.cumsum(frequency) / RATE
    pulses = np.maximum(np.diff(np.floor(phase), prepend=0), 0)
    source = lfilter([1], [1, -0.95 + 0.25 * prosody.bright], pulses) * voiced
    hiss = rng.normal(size=total)
    source = source * (1 - voice.breath) + 0.25 * voice.breath * hiss * voiced
    spoken = _resonate(source, formants)
    spoken /= np.abs(spoken).max() + 1e-9
    rough = lfilter([1, -0.9], [1], hiss) * noise * np.cos(2 * np.pi * np.cumsum(centre) / RATE)
    sound = spoken + 0.5 * rough / (np.abs(rough).max() + 1e-9)
    level = np.sqrt(np.mean(sound**2)) + 1e-9
    return np.asarray(np.clip(sound / level * prosody.level, -1, 1), np.float32)


def _segments(text: str, rate: float) -> list[tuple[int, str, tuple[float, ...]]]:
    """Return length in samples, kind and frequencies of each sound of a text."""
    segments: list[tuple[int, str, tuple[float, ...]]] = []
    value: tuple[float, ...]
    for letter in text.lower():
        if letter in _VOWELS:
            seconds, kind, value = 0.10, "voiced", _VOWELS[letter]
        elif letter in _VOICED:
            seconds, kind, value = 0.06, "voiced", _VOICED[letter]
        elif letter in _NOISE:
            seconds, kind, value = 0.07, "noise", (_NOISE[letter],)
        elif letter.isalpha():
            seconds, kind, value = 0.05, "burst", ()
        elif letter == " ":
            seconds, kind, value = 0.03, "pause", ()
        else:
            continue
        segments.append((round(seconds / rate * RATE), kind, value))
    return segments or [(RATE // 10, "pause", ())]


def _resonate(source: NDArray[np.float64], formants: NDArray[np.float64], block: int = 160) -> NDArray[np.float64]:
    """Return the source after three resonators in a row, whose frequencies change every 10 ms."""
    sound = source
    for number, bandwidth in enumerate((80.0, 110.0, 160.0)):
        radius = np.exp(-np.pi * bandwidth / RATE)
        state = np.zeros(2)
        pieces = []
        for low in range(0, len(sound), block):
            angle = 2 * np.pi * min(formants[number, low], 0.45 * RATE) / RATE
            feedback = [1.0, -2 * radius * np.cos(angle), radius**2]
            piece, state = lfilter([sum(feedback)], feedback, sound[low : low + block], zi=state)
            pieces.append(piece)
        sound = np.concatenate(pieces)
    return sound
