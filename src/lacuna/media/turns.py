"""Find speech in a recording, and cut it into turns at pauses."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError, suggestion
from lacuna.media.assets import require
from lacuna.media.decode import RATE, Audio, Limits, inspect, read_audio
from lacuna.media.problems import MediaError

DETECTORS = ("energy", "silero")
STEP = RATE // 100  # samples in a step of 10 ms
_CHUNK = 512  # samples that silero-vad reads at once
_QUIET = -55.0  # dB relative to full scale; nothing below is speech
_CONTRAST = 10.0  # dB between quiet and loud steps, below which the sound is not divided into speech and pauses
_PIECE = 600.0  # seconds that are decoded at a time


@dataclass(frozen=True)
class TurnRule:
    """How speech becomes turns; all values are seconds.

    Attributes:
        pause: the shortest silence between two turns.
        shortest: speech that is shorter is no turn.
        longest: a longer turn is cut where it is least likely to be speech.
        margin: kept before and after the speech.
    """

    pause: float = 0.5
    shortest: float = 0.25
    longest: float = 15.0
    margin: float = 0.1


def activity(audio: Audio, detector: str = "energy") -> NDArray[np.float64]:
    """Return how likely each step of 10 ms is to be speech.

    Args:
        audio: the sound of a clip.
        detector: ``energy``: loudness between the quiet and the loud parts of this sound, which takes loud noise for speech;
            ``silero``: a trained network (silero-vad, MIT), which needs its asset.

    Returns:
        (n,) float64 in [0, 1]; 0.5 and more is speech.

    Raises:
        ConfigError: the detector is unknown, or its weights are missing.
    """
    if detector not in DETECTORS:
        raise ConfigError(
            f"unknown detector of speech {detector!r}{suggestion(detector, DETECTORS)}; known: {', '.join(DETECTORS)}\n"
            "  do: use one of these names"
        )
    return _silero(audio) if detector == "silero" else _energy(audio)


def speech(likely: NDArray[np.float64], rule: TurnRule | None = None) -> list[tuple[float, float]]:
    """Return the turns of a sound.

    Args:
        likely: (n,) of :func:`activity`.
        rule: how speech becomes turns.

    Returns:
        Start and end of each turn in seconds, ascending; turns do not overlap.

    >>> likely = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 100)
    >>> speech(likely)
    [(0.9, 2.1), (2.9, 4.1)]
    """
    rule = rule or TurnRule()
    is_speech = np.concatenate([[False], likely >= 0.5, [False]])
    edges = np.flatnonzero(np.diff(is_speech.astype(np.int8)))  # starts and ends in turn
    turns: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():  # (2 K,) -> (K, 2)
        if turns and start - turns[-1][1] < 100 * rule.pause:
            turns[-1][1] = end
        else:
            turns.append([start, end])
    cut = [part for start, end in turns if end - start >= 100 * rule.shortest for part in _divided(likely, start, end, rule)]
    margin = round(100 * rule.margin)
    padded = []
    for number, (start, end) in enumerate(cut):
        low = max(start - margin, 0 if not number else -(-(cut[number - 1][1] + start) // 2))
        high = min(end + margin, len(likely) if number + 1 == len(cut) else (end + cut[number + 1][0]) // 2)
        padded.append((low / 100, high / 100))
    return padded


def find_turns(
    path: Path, detector: str = "energy", rule: TurnRule | None = None, limits: Limits | None = None
) -> list[tuple[float, float]]:
    """Return the turns of a recording of any length: start and end of each in seconds; empty if nobody speaks.

    Args:
        path: the recording; it is decoded ten minutes at a time.
        detector: of speech, see :func:`activity`.
        rule: how speech becomes turns.
        limits: bounds of each decoding pass.

    Raises:
        MediaError: the recording has no sound that can be decoded.
        ConfigError: see :func:`activity`.
    """
    limits = limits or Limits()
    seconds = inspect(path).duration
    piece = min(_PIECE, limits.clip_seconds)
    if seconds is None or seconds <= piece:
        return speech(activity(read_audio(path, limits=limits), detector), rule)
    pieces = []
    for start in np.arange(0.0, seconds, piece).tolist():
        steps = round(100 * (min(start + piece, seconds) - start))
        try:
            likely = activity(read_audio(path, start, start + piece, limits), detector)
        except MediaError as error:
            if not start or error.problem.kind not in ("outside", "no_samples"):
                raise
            likely = np.zeros(steps)
        pieces.append(np.pad(likely, (0, max(0, steps - len(likely))))[:steps])
    return speech(np.concatenate(pieces), rule)


def spread(count: int, turns: list[tuple[float, float]]) -> NDArray[np.float32]:
    """Return the times of words that are spread evenly over the speech of a clip: (count,) float32 seconds.

    Without speech no time is known, and all are NaN.

    Args:
        count: number of words, at least 1.
        turns: start and end of each part with speech in seconds, ascending.

    >>> spread(4, [(1.0, 2.0), (5.0, 6.0)]).tolist()
    [1.25, 1.75, 5.25, 5.75]
    """
    if not turns:
        return np.full(count, np.nan, np.float32)
    ends = np.cumsum([end - start for start, end in turns])
    at = (np.arange(count) + 0.5) / count * ends[-1]  # seconds of speech before each word
    turn = np.minimum(np.searchsorted(ends, at, side="right"), len(turns) - 1)
    starts, lengths = np.array([start for start, _ in turns]), np.diff(ends, prepend=0.0)
    return np.asarray(starts[turn] + at - (ends - lengths)[turn], np.float32)


def _divided(likely: NDArray[np.float64], start: int, end: int, rule: TurnRule) -> list[tuple[int, int]]:
    """Return the parts of a turn, none longer than the rule allows, cut at the least likely step of the middle."""
    if end - start <= 100 * rule.longest:
        return [(start, end)]
    low, high = start + (end - start) // 4, end - (end - start) // 4
    smooth = np.convolve(likely[low:high], np.ones(11) / 11, mode="valid")
    middle = low + 5 + int(smooth.argmin())
    return _divided(likely, start, middle, rule) + _divided(likely, middle, end, rule)


def _energy(audio: Audio) -> NDArray[np.float64]:
    count = -(-len(audio.samples) // STEP)
    padded = np.zeros(count * STEP)
    padded[: len(audio.samples)] = audio.samples
    power = (padded.reshape(count, STEP) ** 2).mean(axis=1)  # (n * 160,) -> (n, 160)
    power = np.convolve(power, np.ones(5) / 5)[2 : 2 + count]  # mode="same" returns 5 values of fewer
    level = 10 * np.log10(power + 1e-10)  # (n,)
    heard = np.add.reduceat(np.append(audio.observed, np.zeros(count * STEP - len(audio.samples))), np.arange(count) * STEP) > 0
    if not heard.any():
        return np.zeros(count)
    quiet, loud = np.percentile(level[heard], (10, 95))
    threshold = max(_QUIET, quiet + 0.4 * (loud - quiet)) if loud - quiet >= _CONTRAST else _QUIET
    likely = 1 / (1 + np.exp(-(level - threshold) / 3))
    return np.where(heard, likely, 0.0)


def _silero(audio: Audio) -> NDArray[np.float64]:
    import torch

    network = _network()
    network.reset_states()
    samples = np.pad(audio.samples, (0, -len(audio.samples) % _CHUNK))
    with torch.inference_mode():
        chunks = [float(network(torch.from_numpy(samples[i : i + _CHUNK]), RATE)) for i in range(0, len(samples), _CHUNK)]
    steps = np.arange(-(-len(audio.samples) // STEP)) * STEP // _CHUNK  # the chunk of each step
    return np.asarray(chunks)[steps]


@lru_cache(maxsize=1)
def _network() -> Any:
    """Return silero-vad, loaded once a process."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.load(str(require("silero-vad", "the detector 'silero'")), map_location="cpu")  # type: ignore[no-untyped-call]
    network.eval()
    return network
