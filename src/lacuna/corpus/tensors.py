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
    base: Any = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    total = int(count.sum())
    if not isinstance(base, _Mapped) or not hasattr(os, "pread"):
        first = np.cumsum(count) - count
        return array[np.repeat(start - first, count) + np.arange(total)]
    start, count = start[count > 0], count[count > 0]
    joins = np.flatnonzero(start[1:] != (start + count)[:-1]) + 1  # neighbours are read together
    edges = np.concatenate([[0], joins]) if len(start) else np.zeros(0, np.int64)
    width = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    offset = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data + start[edges] * width
    size = np.add.reduceat(count, edges) * width if len(start) else edges
    data = b"".join([os.pread(base.descriptor, n, at) for n, at in zip(size.tolist(), offset.tolist(), strict=True)])
    if len(data) != total * width:
        raise DataError("the features were cut off while in use", expected=f"{total * width} bytes", found=len(data))
    return np.frombuffer(data, array.dtype).reshape(total, *array.shape[1:])


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
