"""Read one feature file of importer ``table``: ``.npy``, ``.npz`` or ``.safetensors``, by row or by utterance id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, Packed
from lacuna.corpus.importers.sources import Zeros, many, read_npy, read_npz
from lacuna.corpus.storage.tensors import map_tensors
from lacuna.errors import DataError

_BLOCK = 1 << 22  # numbers of an array that are read at once


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
    frames: list[Any] | Packed
    if file.is_dir():
        frames = _one_a_file(file, modality, ids)
    elif file.suffix == ".npy":
        frames = _dense(file, modality, len(ids))
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
    if zeros == "absent":
        frames = (
            _without_zeros(frames) if isinstance(frames, Packed) else [f if f is not None and np.any(f) else None for f in frames]
        )
    return Channel(frames, "features of the user")


def _without_zeros(packed: Packed) -> Packed:
    """Make utterances absent in which every number is 0."""
    says_something = np.concatenate([[0], np.cumsum((packed.values != 0).any(axis=1))])
    end = np.cumsum(packed.count)
    kept = says_something[end] > says_something[end - packed.count]  # (N,)
    rows = np.repeat(kept, packed.count)
    observed = None if packed.observed is None else packed.observed[rows]
    return Packed(packed.values[rows], np.where(kept, packed.count, 0), observed)


def _dense(file: Path, modality: str, total: int) -> Packed:
    """Return the frames of an (N, d) or (N, T, d) array; rows of NaN are absent."""
    array = read_npy(file)
    if array.ndim not in (2, 3) or len(array) != total or array.dtype.kind not in "fiub":
        raise DataError(
            f"{file.name}: the features do not match the table",
            modality=modality,
            expected=f"numbers of shape ({total}, width) or ({total}, frames, width)",
            found=f"{array.dtype} of shape {array.shape}",
            hint="save one row for each row of the table, in the same order"
            if array.dtype.kind in "fiub"
            else "save numbers: array.astype(np.float32)",
        )
    shaped = array[:, None] if array.ndim == 2 else array  # (N, d) -> (N, 1, d); (N, T, d) stays
    values = np.empty((shaped.shape[0] * shaped.shape[1], shaped.shape[2]), np.float32)  # pages of padding are never touched
    counts, flags, n_frames = [], [], 0
    step = max(1, _BLOCK // max(1, shaped.shape[1] * shaped.shape[2]))
    for low in range(0, total, step):
        block = np.asarray(shaped[low : low + step])  # (B, T, d)
        is_observed = ~np.isnan(block).all(axis=2) if block.dtype.kind == "f" else np.ones(block.shape[:2], bool)  # (B, T)
        reversed_position = is_observed[:, ::-1].argmax(axis=1)  # (B,): frames behind the last observed one
        count = np.where(is_observed.any(axis=1), block.shape[1] - reversed_position, 0)
        kept = np.arange(block.shape[1]) < count[:, None]  # (B, T)
        observed = is_observed[kept]  # (R,)
        with np.errstate(over="ignore"):  # numbers beyond float32 become inf and are reported as such
            values[n_frames : n_frames + len(observed)] = np.where(observed[:, None], block[kept], 0)  # (R, d)
        n_frames += len(observed)
        counts.append(count)
        flags.append(observed)
    return Packed(values[:n_frames], np.concatenate(counts).astype(np.int64), np.concatenate(flags))


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


def _ragged(file: Path, modality: str, arrays: dict[str, NDArray[Any]], total: int) -> Packed:
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
    return Packed(frames, lengths.astype(np.int64))
