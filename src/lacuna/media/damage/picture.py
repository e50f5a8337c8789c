"""Damage to the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.damage.base import DAMAGES, Damage, PictureDamage, place_of
from lacuna.media.decode import Picture, Video


@dataclass(frozen=True, kw_only=True)
class _PictureGap(PictureDamage):
    """Base of the damages of one part of the picture.

    Attributes:
        seconds: length of the part, at a random place; a shorter clip is damaged as a whole.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"damage '{self.name}': seconds is above 0, found {self.seconds:g}\n  do: write e.g. {self.name}:2")

    def hits(self, picture: Picture, clip: str, seconds: float) -> bool:
        """Return whether a picture is in the part."""
        start, end = place_of(self.generator(clip), self.seconds, seconds)
        return start <= picture.time < end


@DAMAGES.register("picture-lost")
@dataclass(frozen=True, kw_only=True)
class PictureLost(_PictureGap):
    """Remove the picture for some seconds: the encoder is told that there is none."""

    def apply(self, picture: Picture, clip: str, seconds: float) -> Picture:
        """Return the picture, or one without an image."""
        return replace(picture, image=None) if self.hits(picture, clip, seconds) else picture


@DAMAGES.register("picture-black")
@dataclass(frozen=True, kw_only=True)
class PictureBlack(_PictureGap):
    """Make the picture black for some seconds, as a covered camera does: nobody is told."""

    def apply(self, picture: Picture, clip: str, seconds: float) -> Picture:
        """Return the picture, or a black one."""
        if picture.image is None or not self.hits(picture, clip, seconds):
            return picture
        return replace(picture, image=np.zeros_like(picture.image))


class DamagedVideo(Video):
    """The picture of a clip after damages.

    Args:
        video: the picture of the clip.
        damages: of any modality; those of the picture are applied in their order.
        clip: id of the clip.
        seconds: its duration.
    """

    def __init__(self, video: Video, damages: Sequence[Damage], clip: str, seconds: float) -> None:
        super().__init__(video.path, video.start, video.end, rate=video.rate, limits=video.limits)
        self._damages, self._clip, self._seconds = damages, clip, seconds

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures, see :class:`Video`."""
        for picture in super().__iter__():
            damaged = picture
            for damage in self._damages:
                if isinstance(damage, PictureDamage):
                    damaged = damage.apply(damaged, self._clip, self._seconds)
            yield damaged
