"""Settings of the three channels of duet as frozen values, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from lacuna.errors import ConfigError


@dataclass(frozen=True)
class Words:
    """The text channel.

    Attributes:
        dim: width of the embedding.
        tokens: fewest and most tokens of a turn, uniform.
        emotional: share of tokens from the lexicon of an emotion.
        topical: share of tokens from the lexicon of a scene; the rest is filler.
        slip: probability that an emotional word comes from the lexicon of another emotion.
        wander: probability that a topical word comes from the lexicon of another scene.
        pull: distance of the centre of a lexicon from the origin; words have variance 1 per column about it.
        bend: a of the map sinh(a arcsinh(x) + b).
        tilt: absolute value of b; its sign is random for each column.
    """

    dim: int = 64
    tokens: tuple[int, int] = (5, 14)
    emotional: float = 0.3
    topical: float = 0.2
    slip: float = 0.54
    wander: float = 0.43
    pull: float = 3.0
    bend: float = 2.0
    tilt: float = 0.5


@dataclass(frozen=True)
class Signal:
    """The audio or the vision channel, in its linear space.

    Attributes:
        dim: width of a frame.
        frames: fewest and most frames of a turn, uniform.
        separation: length of the mean of each emotion.
        loading: length of each direction of the expressiveness vector.
        overlap: share of their squared length in the span of the means of the emotions, where expressiveness looks like emotion.
        shared: standard deviation of the noise that all frames of a turn share.
        noise: standard deviation of the noise of a single frame.
        code: columns that depend on the scene (room, camera) only, before the rotation.
        cue: length of the mean of each scene.
        bend: a of the map sinh(a arcsinh(x) + b).
        tilt: absolute value of b; its sign is random for each column.
    """

    dim: int
    frames: tuple[int, int]
    separation: float
    loading: float
    overlap: float
    shared: float
    noise: float = 1.0
    code: int = 4
    cue: float = 0.5
    bend: float = 3.0
    tilt: float = 0.5


def require(holds: bool, name: str, expected: str, found: object) -> None:
    """Raise a ConfigError with the expected and the found value of a setting, unless it holds."""
    if not holds:
        raise ConfigError(f"duet: '{name}' must be {expected}, not {found!r}")


def check_range(part: Any, name: str, least: int, where: str = "") -> None:
    """Check a pair of a fewest and a most."""
    found = getattr(part, name)
    fits = len(found) == 2 and all(isinstance(v, int) for v in found) and least <= found[0] <= found[1]
    require(fits, where + name, f"two whole numbers, the fewest ({least} or more) and the most", found)


def _positive(part: Any, where: str, *names: str) -> None:
    for name in names:
        value = getattr(part, name)
        require(isfinite(value) and value > 0, where + name, "a number above 0", value)


def check_words(text: Words) -> None:
    """Check the settings of the text channel."""
    check_range(text, "tokens", 1, "text.")
    _positive(text, "text.", "dim", "emotional", "topical", "slip", "wander", "bend")
    require(text.emotional + text.topical < 1, "text.emotional + text.topical", "below 1", text.emotional + text.topical)
    require(text.slip < 1 and text.wander < 1, "text.slip and text.wander", "below 1", (text.slip, text.wander))
    require(isfinite(text.pull) and text.pull >= 0, "text.pull", "0 or more", text.pull)
    require(0 <= text.tilt <= 3 and text.bend <= 6, "text.bend and text.tilt", "at most 6 and 3", (text.bend, text.tilt))


def check_signal(name: str, signal: Signal, least: int, scenes: int) -> None:
    """Check the settings of the audio or vision channel."""
    where = f"{name}."
    check_range(signal, "frames", 1, where)
    _positive(signal, where, "dim", "separation", "loading", "shared", "noise", "cue", "bend")
    require(0 <= signal.overlap <= 1, where + "overlap", "from 0 to 1", signal.overlap)
    require(signal.code >= scenes, where + "code", f"at least the {scenes} scenes", signal.code)
    require(signal.dim >= signal.code + least, where + "dim", f"at least {signal.code + least}", signal.dim)
    require(0 <= signal.tilt <= 3 and signal.bend <= 6, where + "bend and tilt", "at most 6 and 3", (signal.bend, signal.tilt))
