"""A safetensors file read in place: header parsed and checked, every tensor a read-only memory map."""

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
SMALL = 1 << 22  # bytes; of a table up to this size pages may fill memory, of a larger one rows are read
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own reader


def map_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Map every tensor of a safetensors file without reading it.

    Args:
        path: a local file.

    Returns:
        Read-only arrays by name; pages are read when touched.

    Raises:
        DataError: the file is truncated or its header does not describe what is there.
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
            "not a whole safetensors file", corpus=path.name, found=str(error), hint="write it again from its source"
        ) from None
    return tensors


class _Mapped(mmap.mmap):
    """A file mapped into memory that can also be read without bringing in its pages."""

    descriptor: int = -1

    @classmethod
    def of(cls, handle: BinaryIO) -> _Mapped:
        """Map an open file; a descriptor of its own lives as long as the map."""
        mapped = cls(handle.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.descriptor = os.dup(handle.fileno())
        weakref.finalize(mapped, os.close, mapped.descriptor)
        return mapped


def read_rows(array: NDArray[Kind], start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[Kind]:
    """Rows ``start[i] : start[i] + count[i]`` of an array, end to end: (sum count, ...).

    Of a mapped file they are read, not touched: memory does not fill up with its pages, reading is several times faster in
    random order, and a file that was cut off is an error instead of the end of the process.

    Raises:
        DataError: the file is shorter than when it was opened.
    """
    base, total = _mapped(array), int(count.sum())
    if base is None or not hasattr(os, "pread"):
        first = np.cumsum(count) - count
        return array[np.repeat(start - first, count) + np.arange(total)]
    start, count = start[count > 0], count[count > 0]
    joins = np.flatnonzero(start[1:] != (start + count)[:-1]) + 1  # neighbours are read together
    edges = np.concatenate([[0], joins]) if len(start) else np.zeros(0, np.int64)
    width = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    offset = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data + start[edges] * width
    size = np.add.reduceat(count, edges) * width if len(start) else edges
    data = b"".join([_pread(base.descriptor, n, at) for n, at in zip(size.tolist(), offset.tolist(), strict=True)])
    if len(data) != total * width:
        raise DataError("the features were cut off while in use", expected=f"{total * width} bytes", found=len(data))
    return np.frombuffer(data, array.dtype).reshape(total, *array.shape[1:])


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """``os.pread`` to the end: one call gives at most about 2 GiB."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data


def _mapped(array: NDArray[Any]) -> _Mapped | None:
    """The mapped file that an array is a view of."""
    base: Any = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, _Mapped) else None


def gather(columns: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Copies of some rows of several arrays of one length.

    Columns of one mapped table of records are read record by record and not touched: see :func:`read_rows`.

    Raises:
        DataError: the file is shorter than when it was opened.
    """
    first = columns[0]
    base, stride = _mapped(first), first.strides[0]
    if base is None or stride * len(first) <= SMALL or not hasattr(os, "preadv") or not len(rows):
        return [c[rows] for c in columns]
    low = [c.__array_interface__["data"][0] for c in columns]
    high = max(at + c.itemsize * int(np.prod(c.shape[1:])) for at, c in zip(low, columns, strict=True))
    span = high - min(low)
    if span > stride or any(_mapped(c) is not base or c.strides[0] != stride for c in columns):  # no columns of one table
        return [c[rows] for c in columns]
    if rows.min() < 0 or rows.max() >= len(first):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(first)}")
    data = np.empty(len(rows) * stride, np.uint8)
    edges = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # neighbours are read together
    size = (np.diff(edges, append=len(rows)) - 1) * stride + span
    offset = min(low) - np.frombuffer(base, np.uint8).ctypes.data + rows[edges] * stride
    view, got = data.data, 0
    for to, n, at in zip((edges * stride).tolist(), size.tolist(), offset.tolist(), strict=True):
        got += os.preadv(base.descriptor, [view[to : to + n]], at)
    if got != size.sum():
        raise DataError("the features were cut off while in use", expected=f"{size.sum()} bytes", found=got)
    return [
        np.ndarray((len(rows), *c.shape[1:]), c.dtype, data.data, at - min(low), c.strides).copy()
        for at, c in zip(low, columns, strict=True)
    ]


def blocks(columns: Sequence[NDArray[Any]], size: int = 1 << 14) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Copies of a few rows of several arrays at a time, with the number of the first one."""
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
    text += b" " * (-len(text) % 8)  # tensors start on 8 bytes
    handle.write(len(text).to_bytes(8, "little") + text)
    for name, kind, shape, stream in tensors:
        expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        written = sum(handle.write(block) for block in stream)
        if written != expected:
            raise DataError(f"tensor '{name}' came in another size than announced", expected=expected, found=written)
