"""Train-only statistics: what the frames are standardised with, and nothing that a test set could leak into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.storage.tensors import blocks, read_rows
from lacuna.errors import DataError


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and scale of every column of every modality.

    Attributes:
        mean: by modality (dim,) float32.
        scale: by modality (dim,) float32 standard deviation; 1 for a constant column.
    """

    mean: dict[str, NDArray[np.float32]]
    scale: dict[str, NDArray[np.float32]]

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Flat names for a safetensors file; :meth:`from_tensors` reads them back."""
        return {f"{kind}.{m}": v for kind, part in (("mean", self.mean), ("scale", self.scale)) for m, v in part.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[np.float32]]) -> Statistics:
        """Inverse of :meth:`to_tensors`."""
        parts: dict[str, dict[str, NDArray[np.float32]]] = {"mean": {}, "scale": {}}
        for name, values in tensors.items():
            kind, modality = name.split(".", 1)
            parts[kind][modality] = values
        return cls(parts["mean"], parts["scale"])


def fit_statistics(corpus: Corpus, block: int = 4096) -> Statistics:
    """Statistics over the observed frames of the training split, in one pass of bounded memory.

    Args:
        corpus: with a training split; other splits are not looked at.
        block: utterances read at a time.

    Returns:
        Mean and population standard deviation by modality, computed in float64.

    Raises:
        DataError: there is no training utterance, or a modality was never observed in training.
    """
    train = corpus.only("train")
    if not len(train):
        raise DataError("there is no training split to take statistics from", corpus=corpus.name, hint="set ingest.splits")
    mean, scale = {}, {}
    for modality in corpus.modalities:
        frames = train.frames[modality.name]
        count, first, second = 0, np.zeros(modality.dim), np.zeros(modality.dim)
        shift: NDArray[np.float64] | None = None  # the first frames' mean keeps the squares small
        for _, rows in blocks([frames.start, frames.count], block):
            values = read_rows(frames.values, *rows).astype(np.float64)  # (rows, dim)
            if frames.observed is not None:
                values = values[read_rows(frames.observed, *rows)]
            if not len(values):
                continue
            shift = values.mean(axis=0) if shift is None else shift
            values -= shift
            count += len(values)
            first += values.sum(axis=0)
            second += np.square(values).sum(axis=0)
        if shift is None:
            raise DataError(
                "the modality was never observed in training", corpus=corpus.name, modality=modality.name, hint="leave it out"
            )
        variance = np.maximum(second / count - np.square(first / count), 0)
        centre = shift + first / count
        spread = np.sqrt(variance)
        constant = spread <= 1e-6 * np.maximum(1, np.abs(centre))
        mean[modality.name] = centre.astype(np.float32)
        scale[modality.name] = np.where(constant, 1, spread).astype(np.float32)
    return Statistics(mean, scale)


def frame_rows(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Storage rows of all frames of some utterances, end to end: (sum count,) int64."""
    first = np.cumsum(count) - count
    return np.repeat(start - first, count) + np.arange(int(count.sum()))
