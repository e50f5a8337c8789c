"""What a damage is: a frozen dataclass of settings that changes the signal of one track of a clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from lacuna.corpus.corpus import key_of
from lacuna.errors import ConfigError
from lacuna.media.decode import Audio, Picture
from lacuna.media.problems import MediaError
from lacuna.registry import Registry

DAMAGES: Registry[Damage] = Registry("damage", "lacuna.media.damage")


@dataclass(frozen=True, kw_only=True)
class Damage(ABC):
    """Base of all damages. The result depends on the settings, the seed and the id of the clip, and on nothing else.

    Attributes:
        name: under which it is registered.
        modality: ``text``, ``audio`` or ``vision``.
        seed: decides what is drawn. With one seed, parts of the same length are at the same time in sound and picture of a clip,
            and a stronger damage hits what a weaker one hits, and more.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    seed: int = 0

    def describe(self) -> str:
        """Return name, settings and seed.

        >>> damages_of(["noise:5"])[0].describe()
        'noise:5 seed=0'
        """
        settings = [f"{getattr(self, field.name):g}" for field in fields(self) if field.name != "seed"]
        return f"{':'.join([self.name, *settings])} seed={self.seed}"

    def generator(self, clip: str) -> np.random.Generator:
        """Return the random generator of a clip."""
        return np.random.default_rng(key_of(f"{self.seed}/{clip}"))


class TextDamage(Damage):
    """Change a transcript."""

    modality = "text"

    @abstractmethod
    def apply(self, text: str, clip: str) -> str:
        """Return the transcript of the clip with this id, damaged; it may be empty."""


class SoundDamage(Damage):
    """Change the sound of a clip."""

    modality = "audio"

    @abstractmethod
    def apply(self, audio: Audio, clip: str) -> Audio:
        """Return the sound of the clip with this id, damaged; as long as before, float32 in [-1, 1]."""


class PictureDamage(Damage):
    """Change the picture of a clip."""

    modality = "vision"

    @abstractmethod
    def apply(self, picture: Picture, clip: str, seconds: float) -> Picture:
        """Return a picture of the clip with this id and duration in seconds, damaged; at the same time as before."""


def damage_text(damages: Iterable[Damage], text: str | None, clip: str) -> str | None:
    """Return a transcript after the damages of text, in their order."""
    for damage in damages:
        if isinstance(damage, TextDamage) and text is not None:
            text = damage.apply(text, clip)
    return text


def damage_sound(damages: Iterable[Damage], audio: Audio, clip: str) -> Audio:
    """Return a sound after the damages of sound, in their order.

    Raises:
        MediaError: nothing of it is left.
    """
    for damage in damages:
        if isinstance(damage, SoundDamage):
            audio = damage.apply(audio, clip)
    if not audio.observed.any():
        raise MediaError("no_samples", "the damage removed all of the sound", "remove fewer seconds")
    return audio


def place_of(generator: np.random.Generator, length: float, total: float) -> tuple[float, float]:
    """Return start and end of a part of this length at a random place inside of the total, all in the same unit."""
    start = float(generator.random()) * max(0.0, total - length)
    return start, start + length


def damages_of(settings: Sequence[str | Damage], seed: int = 0) -> tuple[Damage, ...]:
    """Return damages from their settings.

    Args:
        settings: ``NAME`` or ``NAME:VALUE``, e.g. ``telephone`` or ``noise:10``; or damages, which stay as they are.
        seed: of those that are given as text.

    Raises:
        ConfigError: a name is unknown, or a value is missing or wrong.
    """
    return tuple(one if isinstance(one, Damage) else _damage(one, seed) for one in settings)


def _damage(setting: str, seed: int) -> Damage:
    name, colon, value = setting.partition(":")
    cls = DAMAGES.get(name)
    names = [field.name for field in fields(cls) if field.name != "seed"]
    if bool(colon) != bool(names):
        expected = f"{name}:{names[0].upper()}" if names else name
        raise ConfigError(f"damage '{name}' is written {expected}, found {setting!r}\n  do: write it like this")
    try:
        return cls(seed=seed, **({names[0]: float(value)} if names else {}))
    except ValueError:
        raise ConfigError(f"damage '{name}': {names[0]} is a number, found {value!r}\n  do: write e.g. {name}:0.5") from None


def list_damages() -> dict[str, str]:
    """Return by name what each damage does, the first line of its docstring.

    >>> list_damages()["telephone"]
    'Keep the band of a telephone, 300 to 3400 Hz.'
    """
    return {name: (DAMAGES.get(name).__doc__ or "").splitlines()[0] for name in DAMAGES.names()}
