"""A safetensors file read in place: header parsed and checked, every tensor a read-only memory map."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import DataError

_DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}
_CODES = {np.dtype(kind): code for code, kind in _DTYPES.items()}
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
            buffer = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
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


def release_pages(array: NDArray[Any]) -> None:
    """Let go of the pages that reading a memory-mapped array has brought in; a no-op for other arrays.

    What is dropped stays in the system's page cache, so that it can be read again; the process only stops holding it.
    """
    base: Any = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


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
