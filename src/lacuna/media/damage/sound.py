"""Damage to the sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.damage.base import DAMAGES, SoundDamage, place_of
from lacuna.media.decode import RATE, Audio

_BAND = (300.0, 3400.0)  # Hz, ITU-T G.712


@dataclass(frozen=True, kw_only=True)
class _SoundGap(SoundDamage):
    """Base of the damages of one part of the sound.

    Attributes:
        seconds: length of the part, at a random place; a shorter clip is damaged as a whole.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"damage '{self.name}': seconds is above 0, found {self.seconds:g}\n  do: write e.g. {self.name}:2")

    def part(self, audio: Audio, clip: str) -> slice:
        """Return the samples of the part."""
        start, end = place_of(self.generator(clip), self.seconds, audio.seconds)
        return slice(round(start * RATE), min(len(audio.samples), round(min(end, audio.seconds) * RATE)))


@DAMAGES.register("sound-lost")
@dataclass(frozen=True, kw_only=True)
class SoundLost(_SoundGap):
    """Remove the sound for some seconds, as lost packets do: the encoder is told that it is not observed."""

    def apply(self, audio: Audio, clip: str) -> Audio:
        """Return the sound with a gap."""
        samples, observed, part = audio.samples.copy(), audio.observed.copy(), self.part(audio, clip)
        samples[part], observed[part] = 0, False
        return replace(audio, samples=samples, observed=observed)


@DAMAGES.register("sound-silent")
@dataclass(frozen=True, kw_only=True)
class SoundSilent(_SoundGap):
    """Make the sound silent for some seconds, as a muted microphone does: nobody is told."""

    def apply(self, audio: Audio, clip: str) -> Audio:
        """Return the sound with a silent part."""
        samples = audio.samples.copy()
        samples[self.part(audio, clip)] = 0
        return replace(audio, samples=samples)


@DAMAGES.register("telephone")
@dataclass(frozen=True, kw_only=True)
class Telephone(SoundDamage):
    """Keep the band of a telephone, 300 to 3400 Hz."""

    def apply(self, audio: Audio, clip: str) -> Audio:
        """Return the sound after a Butterworth band-pass filter of order 8 without phase shift."""
        from scipy.signal import butter, sosfiltfilt

        filtered = sosfiltfilt(butter(4, _BAND, "bandpass", fs=RATE, output="sos"), audio.samples, padtype=None)
        return replace(audio, samples=np.where(audio.observed, np.clip(filtered, -1, 1), 0).astype(np.float32))


@DAMAGES.register("noise")
@dataclass(frozen=True, kw_only=True)
class AddedNoise(SoundDamage):
    """Add white noise at a signal-to-noise ratio.

    Attributes:
        decibels: power of the observed sound over the power of the noise, in dB.
    """

    decibels: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.decibels):
            raise ConfigError(f"damage 'noise': decibels is finite, found {self.decibels:g}\n  do: write e.g. noise:10")

    def apply(self, audio: Audio, clip: str) -> Audio:
        """Return the sound with noise, where it is observed; cut off at full scale."""
        if not audio.observed.any():
            return audio
        power = float(np.mean(np.square(audio.samples[audio.observed], dtype=np.float64)))
        noise = self.generator(clip).standard_normal(len(audio.samples), np.float32)
        noisy = audio.samples + np.float32(np.sqrt(power * 10 ** (-self.decibels / 10))) * noise
        return replace(audio, samples=np.where(audio.observed, np.clip(noisy, -1, 1), np.float32(0)))
