"""Files of at most a few megabytes that ask for hours, for all memory, for the end of the process, or for a program to run."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MARKER = "executed"  # file that a program hidden in a hostile file would make


def _archive(entries: int, name: str = "a{}.npy", content: bytes = b"", method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for number in range(entries):
            archive.writestr(name.format(number), content)
    return stream.getvalue()


def _npy(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def _parquet(damage: Callable[[bytearray], None]) -> bytes:
    stream = io.BytesIO()
    table = {"id": [f"u{i}" for i in range(50)], "dialogue": ["d"] * 50, "text_f": [[0.5] * 4] * 50, "label": ["a"] * 50}
    pq.write_table(pa.table(table), stream, use_dictionary=False, compression="none")
    content = bytearray(stream.getvalue())
    damage(content)
    return bytes(content)


def _feather() -> bytes:
    """A table whose strings begin and end far outside the buffer of characters."""
    stream = io.BytesIO()
    table = pa.table({"id": ["aaaa", "bbbb", "cccc"], "text": pa.array([[0.5]] * 3)})
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    offsets, outside = np.array([0, 4, 8, 12], np.int32), np.array([0, 1 << 30, 1 << 30, (1 << 31) - 1], np.int32)
    assert stream.getvalue().count(offsets.tobytes()) == 1
    return stream.getvalue().replace(offsets.tobytes(), outside.tobytes())


def _zeros(content: bytearray) -> None:
    content[200:400] = bytes(200)


def _ones(content: bytearray) -> None:
    content[4:300] = b"\xff" * 296


def _footer(content: bytearray) -> None:
    content[-8:-4] = b"\xff\xff\xff\x7f"


def _thrift(content: bytearray) -> None:
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[start : start + 60] = b"\x18\xff\xff\xff\xff\x07" * 10  # strings of 2 GiB


_TOWER = b")" + b"2\x86" * 70


class _Runs:
    """A pickled object whose restoration would run a program."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def _rows() -> bytes:
    """A table of 100 million rows in a few kilobytes."""
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, pa.schema([("id", pa.null())])) as writer:
        for _ in range(4):
            writer.write_table(pa.table({"id": pa.nulls(25_000_000)}))
    return stream.getvalue()


def _matlab() -> bytes:
    """A compressed element of a gigabyte of zeros."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    return head + struct.pack("<II", 15, len(packed)) + packed


def _safetensors(header: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claimed is None else claimed) + header + bytes(64)


_EMPTY_TENSOR = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
_TOUCH = f"touch {MARKER}"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "hash.pkl": lambda: b"\x80\x02}" + _TOWER + b"K\x01s.",
    "set.pickle": lambda: b"\x80\x04\x8f(" + _TOWER + b"\x90.",
    "deep.pkl": lambda: b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s.",
    "lists.pkl": lambda: b"\x80\x02]" + b"2q\x00]h\x00ah\x00a" * 60 + b".",
    "memo.pkl": lambda: b"\x80\x02]r\x00\x00\x00\x08.",
    "bytes.pkl": lambda: b"\x80\x04\x8e\x00\x00\x00\x00\x10\x00\x00\x00.",
    "bytearray.pkl": lambda: b"\x80\x05\x96\x00\x00\x00\x00\x10\x00\x00\x00.",
    "cycle.pkl": lambda: b"\x80\x02]q\x00(h\x00h\x00e.",
    "repeat.pkl": lambda: pickle.dumps({"train": [[0.0] * 3000] * 100_000}),
    "entries.npz": lambda: _archive(100_000),
    "entries.zip": lambda: _archive(100_000, "file{}.txt"),
    "claims.npz": lambda: _archive(1, "text.npy", _npy((1 << 40, 300))),
    "shape.npz": lambda: _archive(1, "text.npy", _npy((1 << 62, 1 << 62))),
    "unpacked.npz": lambda: _archive(1, "text.npy", _npy((1 << 25, 1)) + bytes(1 << 28), zipfile.ZIP_DEFLATED),
    "claims.npy": lambda: _npy((1 << 40, 300)),
    "header.npy": lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"(" * 10_000,
    "nested.npy": lambda: b"\x93NUMPY\x01\x00" + struct.pack("<H", 60_000) + b"(" * 60_000,
    "utterances.parquet": lambda: _parquet(_zeros),
    "ones.parquet": lambda: _parquet(_ones),
    "footer.parquet": lambda: _parquet(_footer),
    "thrift.parquet": lambda: _parquet(_thrift),
    "strings.feather": _feather,
    "strings.arrow": _feather,
    "cut.arrow": lambda: _feather()[:200],
    "random.h5": lambda: b"\x89HDF\r\n\x1a\n" + np.random.default_rng(0).bytes(3000),
    "random.csd": lambda: b"\x89HDF\r\n\x1a\n" + b"\xff" * 3000,
    "random.mat": lambda: b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\x0f\x00\x00\x00\xff\xff\xff\x7f" * 20,
    "fields.csv": lambda: b"id," + b"a," * 100_000 + b"\n" + b'"' * 100_000,
    "corpus.json": lambda: b"[" * 100_000,
    # programs
    "reduce.pkl": lambda: pickle.dumps({"train": _Runs(os.system, _TOUCH)}),
    "evaluate.pkl": lambda: pickle.dumps(_Runs(eval, f"open({MARKER!r}, 'w').close()")),
    "instance.pkl": f"(S{_TOUCH!r}\nios\nsystem\n.".encode,
    "object.pkl": f"(cos\nsystem\nS{_TOUCH!r}\no.".encode,
    "old.pkl": f"cos\nsystem\n(S{_TOUCH!r}\ntR.".encode,
    "stack.pkl": lambda: b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(_TOUCH)]) + _TOUCH.encode() + b"\x85R.",
    "extension.pkl": lambda: b"\x80\x02\x82\x01.",
    "persistent.pkl": lambda: b"\x80\x02X\x01\x00\x00\x00aQ.",
    "objects.npy": lambda: _npy((1,), "|O") + pickle.dumps(np.array([_Runs(os.system, _TOUCH)], object)),
    "objects.npz": lambda: _archive(1, "text.npy", HOSTILE["objects.npy"]()),
    "weights.pt": lambda: _archive(1, "archive/data.pkl", HOSTILE["reduce.pkl"]()),
    # pickles
    "digits.pkl": lambda: b"I" + b"9" * 1_000_000 + b"\n.",
    "long.pkl": lambda: b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "frame.pkl": lambda: b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.",
    "endless.pkl": lambda: b"\x80\x04]" + b"2" * 1_000_000,
    "empty_stack.pkl": lambda: b"\x80\x040000.",
    "unknown_memo.pkl": lambda: b"\x80\x02h\x07.",
    "strings.pkl": lambda: b"\x80\x02]" + b"X\xff\xff\xff\x7fa" + b"a.",
    "matrix.pkl": lambda: pickle.dumps(np.zeros((0, 1 << 40), np.float32)),
    # archives
    "climb.zip": lambda: _archive(3, "../../{}.csv", b"id\n"),
    "bomb.zip": lambda: _archive(1, "utterances.csv", bytes(1 << 28), zipfile.ZIP_DEFLATED),
    "nested.zip": lambda: _archive(1, "a.zip", _archive(1, "b.zip", bytes(1 << 26), zipfile.ZIP_DEFLATED)),
    "cut.npz": lambda: _archive(20, "a{}.npy", _npy((2, 2)) + bytes(32))[:-30],
    "twice.npz": lambda: _archive(3, "text.npy", _npy((2, 2)) + bytes(32)),
    "check.npz": lambda: _archive(1, "text.npy", _npy((2, 2)) + b"abcd" * 8).replace(b"abcd" * 8, b"abce" * 8, 1),
    # arrays
    "negative.npy": lambda: _npy((-1, 4)) + bytes(64),
    "void.npy": lambda: _npy((2, 2), "|V2147483647"),
    "text.npy": lambda: _npy((4, 4), "<U100000000"),
    "dates.npy": lambda: _npy((4, 4), "<M8[ns]") + bytes(128),
    "long.safetensors": lambda: _safetensors(b"{}", 1 << 60),
    "deep.safetensors": lambda: _safetensors(b"[" * 100_000),
    "names.safetensors": lambda: _safetensors(json.dumps({str(i): _EMPTY_TENSOR for i in range(50_000)}).encode()),
    # tables
    "rows.parquet": _rows,
    "zeros.csv": lambda: b"id,text\n" + bytes(1 << 20),
    "field.csv": lambda: b"id,text\na," + b"x" * (8 << 20) + b"\n",
    "utf16.csv": lambda: "id,text\na,b\n".encode("utf-16"),
    "returns.tsv": lambda: b"\r" * 2_000_000,
    "bomb.mat": _matlab,
}
