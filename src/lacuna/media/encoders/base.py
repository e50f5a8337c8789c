"""What an encoder is: a frozen dataclass of settings that turns one clip into frames."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.media.assets import asset, require
from lacuna.media.decode import Audio, Video
from lacuna.media.problems import Problem
from lacuna.registry import Registry, check_settings

MODALITIES = ("text", "audio", "vision")
ENCODERS: Registry[FeatureEncoder] = Registry("encoder", "lacuna.media.encoders")


@dataclass(frozen=True)
class Encoded:
    """The features of one clip in one modality.

    Attributes:
        values: (T, d) float32, or ``None`` where the modality is absent.
        observed: (T,) bool; values of a frame that was not observed are 0.
        problems: what is wrong, as far as the encoder sees it.
        times: (T,) seconds of the clip of the middle of each frame, where the encoder has no fixed ``rate``.
    """

    values: NDArray[np.float32] | None
    observed: NDArray[np.bool_] | None = None
    problems: tuple[Problem, ...] = ()
    times: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FeatureEncoder(ABC):
    """Base of all encoders; a subclass is a frozen dataclass whose fields are its settings.

    Attributes:
        name: under which it is registered.
        modality: ``text``, ``audio`` or ``vision``.
        version: raise it when the features change; it is a part of the cache key.
        dim: numbers a frame; 0 = as many as the network of its settings has.
        assets: names of the files with weights that it loads.
        source: licence, and where the method comes from.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    version: ClassVar[int] = 1
    dim: ClassVar[int] = 0
    assets: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]

    def describe(self) -> str:
        """Return name, version, settings and hashes of the weights: all that decides the features of a clip.

        >>> create_encoder("audio", "logmel").describe()
        'logmel/1 rate=10.0'
        """
        parts = [f"{self.name}/{self.version}", *(f"{key}={_text(value)}" for key, value in asdict(self).items())]
        weights = [f"weights:{self.weights()}"] if self.weights() else []
        return " ".join([*parts, *(f"{name}:{asset(name).sha256[:12]}" for name in self.assets), *weights])

    def weights(self) -> str:
        """Return the hash of weights that are no assets; empty if there are none."""
        return ""

    def prepare(self) -> None:
        """Check that the weights are there.

        Raises:
            ConfigError: a file is missing; the message says how to get it.
        """
        for name in self.assets:
            require(name, f"encoder '{self.name}'")
        self.weights()

    def load(self) -> None:  # noqa: B027 - most encoders have none
        """Load the networks, which stay in memory until the process ends; by default there are none."""


class TextEncoder(FeatureEncoder):
    """Encode a transcript."""

    modality = "text"

    @abstractmethod
    def encode(self, text: str) -> Encoded:
        """Return (T, d) float32 features of a transcript that is not empty: a row a token, or one row."""


class AudioEncoder(FeatureEncoder):
    """Encode the sound of a clip."""

    modality = "audio"

    @abstractmethod
    def encode(self, audio: Audio) -> Encoded:
        """Return (T, d) float32 features of the sound; the problems of the sound are added by the caller."""


class VideoEncoder(FeatureEncoder):
    """Encode the picture of a clip.

    Attributes:
        rate: pictures a second; ``None`` = every frame, at its own time. A field of every subclass.
    """

    modality = "vision"
    rate: float | None

    @abstractmethod
    def encode(self, video: Video) -> Encoded:
        """Return (T, d) float32 features, a row a picture; the problems of the video are added by the caller."""


def _text(value: Any) -> str:
    """Return a setting as JSON without a space, as spaces separate settings."""
    return json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020")


def create_encoder(modality: str, name: str, settings: Mapping[str, Any] | None = None) -> FeatureEncoder:
    """Return an encoder with settings.

    Args:
        modality: ``text``, ``audio`` or ``vision``.
        name: of the encoder.
        settings: values by field name that differ from the defaults.

    Raises:
        ConfigError: the encoder or a setting is unknown, or the encoder is of another modality.
    """
    cls = ENCODERS.get(name)
    if cls.modality != modality:
        fitting = [other for other in ENCODERS.names() if ENCODERS.get(other).modality == modality]
        raise ConfigError(
            f"encoder '{name}' is for {cls.modality}, not for {modality}; for {modality}: {', '.join(fitting) or 'none'}\n"
            "  do: choose one of these"
        )
    check_settings("encoder", name, cls, settings or {})
    return cls(**(settings or {}))


def list_encoders(modality: str | None = None) -> list[str]:
    """Return the names of all encoders, or of those of a modality.

    >>> list_encoders("audio")
    ['functionals', 'hub-audio', 'logmel']
    """
    return [name for name in ENCODERS.names() if modality in (None, ENCODERS.get(name).modality)]


def setting_of(description: str) -> dict[str, Any] | None:
    """Return the settings, with the ``name``, of the encoder that :meth:`FeatureEncoder.describe` described.

    Returns:
        ``None`` if no encoder of this name, version and weights exists. A setting that the description does not name, because the
        encoder got it later, has its default.

    >>> setting_of("logmel/1 rate=5.0")
    {'name': 'logmel', 'rate': 5.0}
    >>> setting_of("COVAREP") is None
    True
    """
    first, *rest = description.split(" ")
    name = first.partition("/")[0]
    if name not in ENCODERS.names():
        return None
    settings = {key: json.loads(value) for key, equals, value in (part.partition("=") for part in rest) if equals}
    try:
        encoder = ENCODERS.get(name)(**settings)
    except (ConfigError, TypeError):
        return None
    later = {f"{key}={_text(value)}" for key, value in asdict(encoder).items() if key not in settings}
    same = [part for part in encoder.describe().split(" ") if part not in later] == description.split(" ")
    return {"name": name, **settings} if same else None
