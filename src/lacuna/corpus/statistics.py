"""Mean and scale of the frames of the training split, which standardise all splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.storage.tensors import blocks, read_rows
from lacuna.errors import DataError

_LARGEST = 1e18  # the square of larger values is near the largest float32


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
        """Return the arrays by flat names for a safetensors file; :meth:`from_tensors` reads them back."""
        arrays = {"mean": self.mean, "scale": self.scale}
        return {f"{kind}.{modality}": values for kind in arrays for modality, values in arrays[kind].items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[np.float32]]) -> Statistics:
        """Return the statistics that :meth:`to_tensors` wrote."""
        parts: dict[str, dict[str, NDArray[np.float32]]] = {"mean": {}, "scale": {}}
        for name, values in tensors.items():
            kind, modality = name.split(".", 1)
            parts[kind][modality] = values
        return cls(parts["mean"], parts["scale"])


def fit_statistics(corpus: Corpus, block: int = 4096) -> Statistics:
    """Return statistics of the observed frames of the training split, computed in one pass of bounded memory.

    Args:
        corpus: with a training split; other splits are not read.
        block: number of utterances read at a time.

    Returns:
        Mean and population standard deviation by modality, computed in float64.

    Raises:
        DataError: there is no training utterance, a modality was never observed in training, or its values are too large.
    """
    train = corpus.only("train")
    if not len(train):
        raise DataError("there is no training split to take statistics from", corpus=corpus.name, hint="set ingest.splits")
    mean, scale = {}, {}
    for modality in corpus.modalities:
        frames = train.frames[modality.name]
        count, total, total_squared = 0, np.zeros(modality.dim), np.zeros(modality.dim)
        shift: NDArray[np.float64] | None = None  # mean of the first block; without it the squares lose precision
        for _, rows in blocks([frames.start, frames.count], block):
            values = read_rows(frames.values, *rows).astype(np.float64)  # (rows, dim)
            if frames.observed is not None:
                values = values[read_rows(frames.observed, *rows)]
            if not len(values):
                continue
            shift = values.mean(axis=0) if shift is None else shift
            values -= shift
            count += len(values)
            total += values.sum(axis=0)
            total_squared += np.square(values).sum(axis=0)
        if shift is None:
            raise DataError(
                "the modality was never observed in training",
                corpus=corpus.name,
                modality=modality.name,
                hint="leave the modality out",
            )
        variance = np.maximum(total_squared / count - np.square(total / count), 0)
        centre = shift + total / count
        deviation = np.sqrt(variance)
        if max(float(np.abs(centre).max(initial=0)), float(deviation.max(initial=0))) > _LARGEST:
            raise DataError(
                "features are too large: their squares overflow float32",
                corpus=corpus.name,
                modality=modality.name,
                expected=f"values up to about {_LARGEST:g}",
                found=f"column {int(np.maximum(np.abs(centre), deviation).argmax())} with mean and deviation beyond",
                hint="check the unit of that column, or divide it by a constant",
            )
        constant = deviation <= 1e-6 * np.maximum(1, np.abs(centre))
        mean[modality.name] = centre.astype(np.float32)
        scale[modality.name] = np.where(constant, 1, deviation).astype(np.float32)
    return Statistics(mean, scale)


def frame_rows(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the storage rows of all frames of some utterances, end to end: (sum count,) int64.

    Args:
        start: (U,) int64 first row of each utterance.
        count: (U,) int64 number of rows of each utterance.
    """
    first = np.cumsum(count) - count
    return np.repeat(start - first, count) + np.arange(int(count.sum()))
