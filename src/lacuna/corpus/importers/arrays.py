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
        file: path of an ``.npy``, ``.npz`` or ``.safetensors``, or a folder of ``<id>.npy``.
        ids: N utterance ids, in the order of the table.
        zeros: meaning of an all-zero recording.

    Returns:
        The channel.

    Raises:
        DataError: the file is damaged, or does not match the table.
    """
    if file.is_dir():
        frames, observed = _one_a_file(file, modality, ids), None
    elif file.suffix == ".npy":
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
    return Channel(frames, "features of the user", observed=observed)


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


def _one_a_file(folder: Path, modality: str, ids: list[str]) -> list[Any]:
    """Return the frames of a folder with one ``.npy`` an utterance: (d,) or (T, d), ``None`` where there is no file."""
    files = {file.stem: file for file in sorted(folder.glob("*.npy"))}
    if foreign := sorted(set(files) - set(ids)):
        raise DataError(
            f"{folder.name}/: {many(len(foreign), 'file')} of no utterance of the table",
            modality=modality,
            expected="files that are named <id>.npy",
            found=f"'{foreign[0]}.npy'",
            hint="remove them, or add their rows to the table",
        )
    frames: list[Any] = []
    for i in ids:
        array = np.array(read_npy(files[i])) if i in files else None  # copied: open memory maps exhaust the file handles
        if array is not None and array.ndim > 2 and all(n == 1 for n in array.shape[:-2]):
            array = array.reshape(array.shape[-2:])  # (1, T, d) -> (T, d)
        frames.append(None if array is None or not array.size else array)
    return frames


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
