"""Frames of log-mel spectrum, its change, level and pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.align import pool
from lacuna.media.decode import Audio
from lacuna.media.encoders.base import ENCODERS, AudioEncoder, Encoded
from lacuna.media.spectra import BANDS, contours


@ENCODERS.register("logmel")
@dataclass(frozen=True)
class LogMel(AudioEncoder):
    """Return 83 numbers a frame: 40 log-mel energies, 40 of their changes, level, pitch, and the voiced share.

    Computed every 10 ms and averaged over a frame.

    Attributes:
        rate: frames a second; divides 100.
    """

    dim = 2 * BANDS + 3
    source = "part of Lacuna"
    rate: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 100 or 100 % self.rate:
            raise ConfigError(f"encoder 'logmel': rate divides 100, found {self.rate!r}\n  do: set rate to e.g. 5, 10 or 20")

    def encode(self, audio: Audio) -> Encoded:
        """Return (T, 83) features."""
        values, valid = contours(audio)
        mel = values[:, :BANDS]
        padded = np.pad(mel, ((2, 2), (0, 0)), mode="edge")
        change = (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10  # regression over five windows
        table = np.column_stack([mel, change, values[:, BANDS], values[:, -1], valid[:, -1]])  # (n, 83)
        seen = valid[:, 0]
        weights = np.repeat(seen[:, None], table.shape[1], axis=1)
        weights[:, -2] = valid[:, -1]
        frames, observed = pool(table, weights, int(100 / self.rate))
        return Encoded(frames, observed)
