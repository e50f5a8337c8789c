"""Settings of the generated corpus of wrist sensors as frozen values, with their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from lacuna.errors import ConfigError
from lacuna.registry import check_settings

STATES = {"baseline": (-0.5, 0.1), "stress": (0.8, -0.7), "amusement": (0.3, 0.7)}  # mean arousal and valence
PRESETS: dict[str, dict[str, Any]] = {"tiny": {"people": 5, "windows": (8, 12)}, "demo": {"people": 15}, "bench": {"people": 300}}


@dataclass(frozen=True)
class Wrist:
    """Settings of the corpus; two corpora with equal settings are equal byte for byte.

    Attributes:
        people: number of people; each one is a dialogue whose turns are windows. The first people of a larger corpus are those of
            a smaller one.
        windows: fewest and most windows of a person, uniform.
        seconds: length of a window.
        rate: skin responses in one second at arousal 0 of an average person.
        reactivity: change of the logarithm of this rate for one unit of arousal.
        rise: time constant in seconds with which a skin response rises.
        decay: time constant in seconds with which skin conductance returns to its level; above ``rise``.
        drift: amplitude of the slow drift of the tonic level, as a share of the level.
        spread: standard deviation of the logarithms of level, amplitude and reactivity between people.
        noise: standard deviation in microsiemens of the noise of a conductance sample.
        loss: probability that a sensor records nothing in a window; one sensor always records.
        seed: determines all random draws.

    Raises:
        ConfigError: a value is out of bounds.
    """

    people: int = 15
    windows: tuple[int, int] = (20, 40)
    seconds: int = 32
    rate: float = 0.08
    reactivity: float = 1.0
    rise: float = 0.75
    decay: float = 2.5
    drift: float = 0.15
    spread: float = 0.4
    noise: float = 0.02
    loss: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        windows = tuple(self.windows) if isinstance(self.windows, tuple | list) else ()
        object.__setattr__(self, "windows", windows)
        if len(windows) != 2 or not all(_whole(w) and w >= 8 for w in windows) or windows[0] > windows[1]:
            raise ConfigError(f"wrist: 'windows' must be two whole numbers, the fewest (8 or more) and the most; found {windows}")
        for name, low, high in (("people", 1, 10**6), ("seconds", 8, 3600), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if not _whole(value) or not low <= value <= high:
                raise ConfigError(f"wrist: '{name}' must be a whole number from {low} to {high}; found {value!r}")
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not number or not least <= value <= most:
                raise ConfigError(f"wrist: '{name}' must be a number from {least} to {most}; found {value!r}")
        if self.decay <= self.rise:
            raise ConfigError(f"wrist: 'decay' must be above 'rise' ({self.rise}); found {self.decay}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON or YAML file."""
        return asdict(self)


_BOUNDS = (
    ("rate", 0.0, 10.0),
    ("reactivity", 0.0, 10.0),
    ("rise", 0.01, 60.0),
    ("decay", 0.01, 600.0),
    ("drift", 0.0, 1.0),
    ("spread", 0.0, 2.0),
    ("noise", 0.0, 10.0),
    ("loss", 0.0, 0.99),
)


def preset(name: str, **changes: Any) -> Wrist:
    """Return settings by name: ``tiny`` (tests), ``demo`` (15 people) or ``bench`` (300), with changes.

    Raises:
        ConfigError: the preset or a setting is unknown, or a value is out of bounds.

    >>> preset("tiny", seed=3).people
    5
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r} of wrist; there are: {', '.join(PRESETS)}")
    values: Mapping[str, Any] = {**PRESETS[name], **changes}
    check_settings("corpus", "wrist", Wrist, values)
    return replace(Wrist(), **values)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
