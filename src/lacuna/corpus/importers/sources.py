"""Helpers of importers: read arrays and CSV numbers, find padding, record provenance."""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lacuna.atomic import sha256
from lacuna.corpus.archives import open_archive
from lacuna.corpus.schema import Provenance
from lacuna.errors import DataError

Zeros = Literal["keep", "absent"]  # meaning of an all-zero recording: data (silence), or modality absent
_SHORT = 80  # longest part of a field that an error shows


def provenance(
    importer: str, path: Path, files: Iterable[Path], *, licence: str = "unknown", notes: Iterable[str] = ()
) -> Provenance:
    """Return where a corpus came from, without machine paths.

    Args:
        importer: its name.
        path: what was imported; only its last part is kept.
        files: every file that was read; each is hashed, and named relative to ``path`` if that is a folder.
        licence: terms of the original corpus, as far as known.
        notes: what was recognised and decided, one sentence each.
    """
    root = path if path.is_dir() else path.parent
    hashes = {(f.relative_to(root).as_posix() if f.is_relative_to(root) else f.name): sha256(f) for f in sorted(set(files))}
    return Provenance(source=path.resolve().name, importer=importer, licence=licence, files=hashes, notes=tuple(notes))


def npz_shapes(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return shape and dtype of every array of an ``.npz`` by name, from the headers; empty if it is not one."""
    shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    try:
        with open_archive(path) as archive:
            for entry in archive.namelist():
                if not entry.endswith(".npy"):
                    return {}
                with archive.open(entry) as handle:
                    shapes[entry.removesuffix(".npy")] = _declared(handle)
    except Exception:  # not a zip, or not of arrays
        return {}
    return shapes


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return every array of an ``.npz`` by name; arrays of objects are refused, because they need unpickling.

    Raises:
        DataError: truncated, not an archive of arrays, or an array of objects.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with open_archive(path) as archive:
            for entry in archive.namelist():
                key = entry.removesuffix(".npy")
                with archive.open(entry) as handle:
                    if _declared(handle)[1].hasobject:
                        raise _unreadable(path, ".npz", f"objects of Python in '{key}'", _AS_NUMBERS)
                with archive.open(entry) as handle:
                    arrays[key] = npy.read_array(handle, allow_pickle=False)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged archive breaks the zip reader, the decompressor or the header's parser
        raise _unreadable(path, ".npz", _outside(path, b"PK", "zip archive") or f"damaged arrays: {_short(error)}") from None
    return arrays


def read_npy(path: Path) -> NDArray[Any]:
    """Return a memory-mapped ``.npy``; arrays of objects are refused, because they need unpickling.

    Raises:
        DataError: truncated, not an array, or an array of objects.
    """
    try:
        with path.open("rb") as handle:
            shape, kind = _declared(handle)
            start = handle.tell()
        if kind.hasobject:
            raise _unreadable(path, ".npy", "objects of Python", _AS_NUMBERS)
        whole, size = start + math.prod(shape) * kind.itemsize, path.stat().st_size
        if size < whole:
            raise _unreadable(path, ".npy", f"{size:,} of the {whole:,} bytes that its header announces")
        array: NDArray[Any] = np.load(path, mmap_mode="r" if math.prod(shape) else None, allow_pickle=False)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged header breaks its parser anywhere
        raise _unreadable(path, ".npy", _outside(path, npy.MAGIC_PREFIX, "numpy array") or _short(error)) from None
    return array


_AGAIN = "write it again from its source; the file is cut off or no numpy file"
_AS_NUMBERS = "write it again as numbers: np.asarray(rows, np.float32)"


def _declared(handle: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype from the header of an ``.npy``."""
    read = npy.read_array_header_1_0 if npy.read_magic(handle) == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = read(handle)
    return tuple(shape), kind


def _unreadable(path: Path, suffix: str, found: str, hint: str = _AGAIN) -> DataError:
    expected = "one array of numbers, as np.save writes it" if suffix == ".npy" else "arrays of numbers, as np.savez writes them"
    return DataError(f"{path.name} is not a readable {suffix} of numbers", expected=expected, found=found, hint=hint)


def _outside(path: Path, magic: bytes, kind: str) -> str:
    """What is wrong with a file at first sight; empty if it begins and, being a zip archive, ends as it should."""
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            head = handle.read(len(magic))
    except OSError as error:
        return _short(error)
    if head != magic:
        return f"{many(size, 'byte')} that do not begin as a {kind} does" if size else "an empty file"
    whole = zipfile.is_zipfile(path) if magic == b"PK" else size >= 128
    return "" if whole else f"a {kind} that is cut off after {many(size, 'byte')}"


def _short(error: Exception) -> str:
    """Return a parser error in one line, without advice: numpy advises to unpickle."""
    message = (str(error).splitlines() or [""])[0][:200]
    return type(error).__name__ if not message or "pickle" in message else message


def many(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 dialogue``, ``2 dialogues``, ``3 entries``, ``2 keys``."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else plural
    return f"{count} {noun if count == 1 else plural}"


def read_numbers(path: Path) -> NDArray[np.float64]:
    """Return a CSV of numbers without header: (rows, columns) float64.

    Raises:
        DataError: a line has another number of columns, or a field is not a number; the message names the line.
    """
    import pandas as pd  # here: slow to import

    numbers: NDArray[np.float64] | None = None
    try:
        numbers = pd.read_csv(path, header=None, dtype=np.float64, encoding="utf-8-sig").to_numpy()
    except pd.errors.EmptyDataError:
        raise DataError(
            f"{path.name}: the file is empty", expected="rows of numbers", found="nothing", hint="export the file again"
        ) from None
    except (ValueError, pd.errors.ParserError):
        pass  # the line is found below
    if numbers is None or np.isnan(numbers).any():  # pandas fills short lines with NaN
        _check_lines(path)
    if numbers is None:
        raise DataError(f"{path.name} is not a CSV of numbers", hint="save it as UTF-8 text with commas between numbers")
    return numbers


def _check_lines(path: Path) -> None:
    width = None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        for number, cells in enumerate(csv.reader(handle), 1):
            width = len(cells) if width is None else width
            wrong = next((c for c in cells if not _is_number(c)), None)
            if len(cells) != width or wrong is not None:
                found = f"{len(cells)} fields" if wrong is None else repr(wrong[:_SHORT])
                raise DataError(
                    f"{path.name}: line {number} is malformed",
                    expected=f"{width} numbers",
                    found=found,
                    hint="correct the line; a file of numbers has no header",
                )


def natural_key(name: object) -> list[tuple[int, int, str]]:
    """Return a sort key that orders numbers inside names by value: ``d2`` before ``d10``."""
    parts = re.split(r"(\d+)", str(name))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def describe(value: object) -> str:
    """Return type and size of a value without its content."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    if isinstance(value, dict):
        return f"a dictionary with {many(len(value), 'key')}"
    if isinstance(value, list | tuple | set | frozenset):
        kinds = ", ".join(sorted({type(item).__name__ for item in value}))
        return f"a {type(value).__name__} of {many(len(value), 'item')}" + (f" ({kinds})" if kinds else "")
    return "nothing" if value is None else f"a {type(value).__name__}"


def content_bounds(frames: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the content of zero-padded sequences lies.

    Args:
        frames: (N, T, d), padding frames all zero.

    Returns:
        (N,) first non-zero frame and (N,) one past the last; both 0 where every frame is zero.
    """
    full = np.asarray([sequence.any(axis=-1) for sequence in frames], bool).reshape(frames.shape[:2])  # NaN counts as content
    some = full.any(axis=1)
    first = np.where(some, full.argmax(axis=1), 0)
    end = np.where(some, frames.shape[1] - full[:, ::-1].argmax(axis=1), 0)
    return first.astype(np.int64), end.astype(np.int64)


def folder_files(path: Path) -> dict[str, Path]:
    """Return the files of a folder by name, without hidden ones; empty if it is not a folder or cannot be listed."""
    try:
        return {f.name: f for f in sorted(path.iterdir()) if f.is_file() and not f.name.startswith(".")} if path.is_dir() else {}
    except OSError:
        return {}


def first_line(path: Path, limit: int = 1 << 16) -> str:
    """Return the first line of a text file, at most ``limit`` bytes; empty if it is binary or cannot be read."""
    try:
        with path.open("rb") as handle:
            return io.TextIOWrapper(io.BytesIO(handle.read(limit)), "utf-8-sig", errors="replace").readline().rstrip("\r\n")
    except (OSError, ValueError):
        return ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
