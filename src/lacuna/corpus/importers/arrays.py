"""Read one feature file of importer ``table``: ``.npy``, ``.npz`` or ``.safetensors``, by row or by utterance id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel
from lacuna.corpus.importers.sources import Zeros, many, read_npy, read_npz
from lacuna.corpus.storage.tensors import map_tensors
from lacuna.errors import DataError


def read_channel(modality: str, file: Path, ids: list[str], zeros: Zeros) -> Channel:
    """Return the frames of one modality, one entry an utterance.

    Args:
        modality: its name.
        file: path of an ``.npy``, ``.npz`` or ``.safetensors``.
        ids: N utterance ids, in the order of the table.
        zeros: meaning of an all-zero recording.

    Returns:
        The channel.

    Raises:
        DataError: the file is damaged, or does not match the table.
    """
    if file.suffix == ".npy":
        frames, observed = _dense(file, modality, len(ids))
    else:
        arrays = map_tensors(file) if file.suffix == ".safetensors" else read_npz(file)
        if set(arrays) == {"frames", "lengths"}:
            frames = _ragged(file, modality, arrays, len(ids))
        else:
            if foreign := sorted(set(arrays) - set(ids)):
                raise DataError(
                    f"{file.name}: {many(len(foreign), 'key')} of no utterance of the table",
                    modality=modality,
                    expected="utterance ids as keys, or 'frames' and 'lengths'",
                    found=f"'{foreign[0]}'",
                    hint="compare the ids of the table with the keys of the file",
                )
            frames = [arrays.get(i) for i in ids]
        observed = None
    if zeros == "absent":
        frames = [None if f is None or not np.any(f) else f for f in frames]
        observed = None if observed is None else [None if f is None else o for f, o in zip(frames, observed, strict=True)]
    return Channel(frames, f"{file.name} of the user", observed=observed)


def _dense(file: Path, modality: str, total: int) -> tuple[list[Any], list[Any] | None]:
    """Return frames and observed flags of an (N, d) or (N, T, d) array; rows of NaN are absent."""
    array = read_npy(file)
    if array.ndim not in (2, 3) or len(array) != total or array.dtype.kind not in "fiub":
        raise DataError(
            f"{file.name}: the features do not match the table",
            modality=modality,
            expected=f"numbers of shape ({total}, width) or ({total}, frames, width)",
            found=f"{array.dtype} of shape {array.shape}",
            hint="save one row for each row of the table, in the same order",
        )
    frames: list[Any] = []
    observed: list[Any] = []
    for sample in array:
        sequence = np.atleast_2d(sample)
        is_observed = ~np.isnan(sequence).all(axis=1) if array.dtype.kind == "f" else np.ones(len(sequence), bool)
        end = len(is_observed) - int(is_observed[::-1].argmax()) if is_observed.any() else 0
        kept_flags = is_observed[:end]
        frames.append(np.where(kept_flags[:, None], sequence[:end], 0) if end else None)
        observed.append(kept_flags if end else None)
    return frames, observed


def _ragged(file: Path, modality: str, arrays: dict[str, NDArray[Any]], total: int) -> list[Any]:
    frames, lengths = arrays["frames"], arrays["lengths"]
    fits = lengths.shape == (total,) and lengths.dtype.kind in "iu" and (lengths >= 0).all() and frames.ndim == 2
    if not fits or int(lengths.sum()) != len(frames):
        raise DataError(
            f"{file.name}: frames and lengths do not match the table",
            modality=modality,
            expected=f"{total} lengths that sum to the number of frames",
            found=f"{lengths.size} lengths that sum to {lengths.sum()}, frames of shape {frames.shape}",
            hint="save all frames end to end, and how many belong to each row of the table",
        )
    return np.split(frames, np.cumsum(lengths)[:-1])
