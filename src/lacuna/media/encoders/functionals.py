"""Statistics of spectrum, level and pitch over a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.media.decode import Audio
from lacuna.media.encoders.base import ENCODERS, AudioEncoder, Encoded
from lacuna.media.spectra import COLUMNS, contours


@ENCODERS.register("functionals")
@dataclass(frozen=True)
class Functionals(AudioEncoder):
    """Return one vector a clip: mean, standard deviation and three percentiles of each contour, and the voiced share."""

    dim = 5 * len(COLUMNS) + 1
    source = "part of Lacuna; the kind of statistics is that of Eyben et al., GeMAPS, IEEE TAFFC 2016"

    def encode(self, audio: Audio) -> Encoded:
        """Return (1, 211) features."""
        values, valid = contours(audio)
        statistics = [_statistics(values[valid[:, column], column]) for column in range(values.shape[1])]
        voiced = valid[:, -1].sum() / max(1, valid[:, 0].sum())
        return Encoded(np.append(np.concatenate(statistics), voiced).astype(np.float32)[None])


def _statistics(values: np.ndarray) -> np.ndarray:
    if not len(values):
        return np.zeros(5)
    return np.array([values.mean(), values.std(), *np.percentile(values, (10, 50, 90))])
