"""The doctor answers within ten seconds, whatever a small file asks for; no file ends it."""

from __future__ import annotations

import io
import os
import pickle
import signal
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacuna.corpus import diagnosis as module
from lacuna.corpus.doctor import examine, render


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
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_an_answer(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name]())
    for path in (tmp_path / name, tmp_path):
        start = time.perf_counter()
        diagnosis = examine(path)
        assert time.perf_counter() - start < 10
        assert not diagnosis.usable
        assert all(diagnosis.errors)
        assert diagnosis.errors
        assert render(diagnosis)


def test_a_reader_that_ends_its_process_does_not_end_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(module, "_PROGRAM", f"import os; os.kill(os.getpid(), {int(signal.SIGABRT)})")
    assert "ended by SIGABRT" in examine(tmp_path / "a.parquet").errors[0]
    monkeypatch.setattr(module, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    assert "longer than 0 seconds" in examine(tmp_path).errors[0]
    assert os.listdir(tmp_path) == ["a.parquet"]
