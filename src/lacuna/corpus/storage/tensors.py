"""Memory-mapped reading and streamed writing of safetensors files."""

from __future__ import annotations

import json
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import DataError

_DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}
_CODES = {np.dtype(kind): code for code, kind in _DTYPES.items()}
Kind = TypeVar("Kind", bound=np.generic)
SMALL = 1 << 22  # bytes; a table up to this size is indexed in the map, rows of a larger one are read from the file
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own reader


def map_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Map all tensors of a safetensors file without reading them.

    Args:
        path: a local file.

    Returns:
        Read-only arrays by name.

    Raises:
        DataError: the file is truncated or its header does not fit the content.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as handle:
            head = int.from_bytes(handle.read(8), "little")
            if size < 8 or head > min(size - 8, _LONGEST_HEADER):
                raise ValueError(f"a header of {head} bytes in a file of {size}")
            header = json.loads(handle.read(head))
            buffer = _Mapped.of(handle)
        header.pop("__metadata__", None)
        tensors: dict[str, NDArray[np.generic]] = {}
        for name, entry in header.items():
            kind, shape = np.dtype(_DTYPES[entry["dtype"]]), [int(n) for n in entry["shape"]]
            low, high = entry["data_offsets"]
            count = int(np.prod(shape, dtype=np.int64))
            if min([low, *shape]) < 0 or high - low != count * kind.itemsize or 8 + head + high > size:
                raise ValueError(f"tensor '{name}' lies outside the file")
            tensors[name] = np.frombuffer(buffer, kind, count, 8 + head + low).reshape(shape)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "not a whole safetensors file", corpus=path.name, found=str(error), hint="create it again from its source"
        ) from None
    return tensors


class _Mapped(mmap.mmap):
    """A file mapped into memory, with a descriptor to read parts of it without loading pages of the map."""

    descriptor: int = -1

    @classmethod
    def of(cls, handle: BinaryIO) -> _Mapped:
        """Return the map of an open file; the descriptor is duplicated and closed with the map."""
        mapped = cls(handle.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.descriptor = os.dup(handle.fileno())
        weakref.finalize(mapped, os.close, mapped.descriptor)
        return mapped


def read_rows(array: NDArray[Kind], start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[Kind]:
    """Return rows ``start[i] : start[i] + count[i]`` of an array, end to end: (sum count, ...).

    Rows of a mapped file are read with ``pread``. So memory does not fill with pages of the map, random access is several times
    faster, and a truncated file raises an error instead of killing the process.

    Args:
        array: (R, ...), in memory or memory-mapped.
        start: (U,) int64 first rows.
        count: (U,) int64 numbers of rows.

    Raises:
        DataError: the file is shorter than when it was opened.
    """
    base, total = _mapped(array), int(count.sum())
    if base is None or not hasattr(os, "pread"):
        first = np.cumsum(count) - count
        return array[np.repeat(start - first, count) + np.arange(total)]
    start, count = start[count > 0], count[count > 0]
    breaks = np.flatnonzero(start[1:] != (start + count)[:-1]) + 1  # consecutive rows are one read
    edges = np.concatenate([[0], breaks]) if len(start) else np.zeros(0, np.int64)
    width = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    offset = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data + start[edges] * width
    size = np.add.reduceat(count, edges) * width if len(start) else edges
    data = b"".join([_pread(base.descriptor, n, at) for n, at in zip(size.tolist(), offset.tolist(), strict=True)])
    if len(data) != total * width:
        raise _cut_off(total * width, len(data))
    return np.frombuffer(data, array.dtype).reshape(total, *array.shape[1:])  # (bytes,) -> (sum count, ...)


def _cut_off(expected: int, found: int) -> DataError:
    """Return the error for a file that became shorter while it was open; sizes are in bytes."""
    return DataError(
        "the features were cut off while in use",
        expected=f"{expected} bytes",
        found=f"{found} bytes",
        hint="create the corpus again from its source",
    )


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """Return ``size`` bytes from ``offset``, fewer at the end of the file; one ``os.pread`` returns at most about 2 GiB."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data


def _mapped(array: NDArray[Any]) -> _Mapped | None:
    """Return the mapped file that an array is a view of, or ``None``."""
    base: Any = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, _Mapped) else None


def gather(columns: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return copies of some rows of several arrays of one length.

    If the arrays are fields of one mapped table of records, whole records are read with ``pread``: see :func:`read_rows`.

    Args:
        columns: arrays (N, ...).
        rows: (R,) int64.

    Raises:
        DataError: the file is shorter than when it was opened.
    """
    first = columns[0]
    base, stride = _mapped(first), first.strides[0]
    if base is None or stride * len(first) <= SMALL or not hasattr(os, "preadv") or not len(rows):
        return [c[rows] for c in columns]
    address = [c.__array_interface__["data"][0] for c in columns]
    low = min(address)
    high = max(start + c.itemsize * int(np.prod(c.shape[1:])) for start, c in zip(address, columns, strict=True))
    span = high - low  # bytes of a record from the first to the last field
    if span > stride or any(_mapped(c) is not base or c.strides[0] != stride for c in columns):  # not fields of one table
        return [c[rows] for c in columns]
    if rows.min() < 0 or rows.max() >= len(first):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(first)}")
    data = np.empty(len(rows) * stride, np.uint8)
    edges = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # consecutive rows are one read
    size = (np.diff(edges, append=len(rows)) - 1) * stride + span
    offset = low - np.frombuffer(base, np.uint8).ctypes.data + rows[edges] * stride
    view, n_read = data.data, 0
    for target, n, source in zip((edges * stride).tolist(), size.tolist(), offset.tolist(), strict=True):
        n_read += os.preadv(base.descriptor, [view[target : target + n]], source)
    if n_read != size.sum():
        raise _cut_off(int(size.sum()), n_read)
    return [
        np.ndarray((len(rows), *c.shape[1:]), c.dtype, data.data, start - low, c.strides).copy()
        for start, c in zip(address, columns, strict=True)
    ]


def blocks(columns: Sequence[NDArray[Any]], size: int = 1 << 14) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Yield copies of ``size`` rows of several arrays at a time, with the number of the first row."""
    for low in range(0, len(columns[0]), size):
        yield low, gather(columns, np.arange(low, min(low + size, len(columns[0]))))


def write_tensors(handle: BinaryIO, tensors: Sequence[tuple[str, np.dtype[Any], tuple[int, ...], Iterator[bytes]]]) -> None:
    """Write a safetensors file from streams, so that no tensor has to fit in memory.

    Args:
        handle: a binary file opened for writing.
        tensors: name, dtype, shape and an iterator over the little-endian bytes of each tensor.

    Raises:
        DataError: a stream holds more or fewer bytes than its shape says.
    """
    header: dict[str, object] = {}
    offset = 0
    for name, kind, shape, _ in tensors:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        header[name] = {"dtype": _CODES[np.dtype(kind)], "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # align the tensors to 8 bytes
    handle.write(len(text).to_bytes(8, "little") + text)
    for name, kind, shape, stream in tensors:
        expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        written = sum(handle.write(block) for block in stream)
        if written != expected:
            raise DataError(
                f"tensor '{name}' has another size than its shape", expected=f"{expected} bytes", found=f"{written} bytes"
            )
