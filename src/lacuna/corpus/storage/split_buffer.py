"""The part of a corpus that belongs to one split, in scratch files while it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames, name_keys
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.storage.columns import record_type

BLOCK = 1 << 22  # bytes
PARTS = (("frames", np.float32), ("tokens", np.int64), ("observed", np.bool_), ("times", np.float32))
FILL = {"observed": b"\x01", "times": np.float32(np.nan).tobytes()}  # of frames without the part, where others have it


class SplitBuffer:
    """Scratch files of one split: table, index, frames. Dialogue codes and frame rows count from 0 within the split.

    Args:
        stem: path without extension; each scratch file adds one.

    Attributes:
        raw: open files by key: ``index``, ``dialogues``, and ``<modality>.<part>`` for each part of ``PARTS``.
        frames: number of frames by modality.
        dialogues: number of dialogues.
        rows: number of utterances.
    """

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self.table: pq.ParquetWriter = None
        self.raw: dict[str, IO[bytes]] = {}
        self.frames: Counter[str] = Counter()
        self.dialogues = self.rows = 0

    def append(self, piece: Corpus, speakers: NDArray[np.int64]) -> None:
        """Add the dialogues of a piece.

        Args:
            piece: utterances of this split.
            speakers: (S,) int64 code in the whole corpus of each speaker code of the piece.
        """
        u = piece.utterances
        table = _table(piece)
        if self.table is None:
            self.table = pq.ParquetWriter(f"{self.stem}.table", table.schema, compression="zstd")
        self.table.write_table(table, row_group_size=1 << 16)
        records = np.zeros(len(piece), record_type(piece.modalities, piece.targets))
        records["key"], records["turn"], records["split"] = piece.keys, u.turn, u.split
        codes, first, inverse = np.unique(u.dialogue, return_index=True, return_inverse=True)
        order = np.argsort(first)  # new codes are numbered by first appearance
        records["dialogue"] = self.dialogues + np.argsort(order)[inverse]
        records["speaker"] = speakers[u.speaker]
        for target in piece.targets:
            records[f"target.{target.name}"] = u.labels[target.name]
        for modality in piece.modalities:
            frames = piece.frames[modality.name]
            records[f"frames.{modality.name}.count"] = frames.count
            records[f"frames.{modality.name}.start"] = self.frames[modality.name] + np.cumsum(frames.count) - frames.count
            self._append_frames(modality.name, frames)
        self._file("dialogues").write(name_keys(u.dialogue_names)[codes[order]].tobytes())
        self._file("index").write(records.tobytes())
        self.rows += len(piece)
        self.dialogues += len(codes)

    def _file(self, key: str) -> IO[bytes]:
        """Return a scratch file, created on first use."""
        if key not in self.raw:
            self.raw[key] = Path(f"{self.stem}.{key}").open("w+b")  # noqa: SIM115 - closed by `close`
        return self.raw[key]

    def _append_frames(self, name: str, frames: Frames) -> None:
        """Add the frames, tokens and flags of a modality."""
        n_before, n_new = self.frames[name], int(frames.count.sum())
        for part, _ in PARTS:
            source = frames.values if part == "frames" else getattr(frames, part)
            key = f"{name}.{part}"
            if part in FILL and (source is None) == (key in self.raw):  # only some pieces have the part
                for block in filled(part, n_new if source is None else n_before):
                    self._file(key).write(block)
            if source is None:
                continue
            for low, high in _runs(frames):
                for start in range(low, high, 1 << 14):
                    self._file(key).write(np.ascontiguousarray(source[start : min(high, start + (1 << 14))]).tobytes())
        self.frames[name] += n_new

    def read(self, key: str, size: int = BLOCK) -> Iterator[bytes]:
        """Yield the content of a scratch file in blocks of ``size`` bytes."""
        if key in self.raw:
            self.raw[key].seek(0)
            while block := self.raw[key].read(size):
                yield block

    def close(self) -> None:
        """Close all scratch files."""
        for handle in (*self.raw.values(), self.table):
            if handle is not None:
                handle.close()


def _table(corpus: Corpus) -> pa.Table:
    """Return the parquet table of a corpus: everything but the frames."""
    u = corpus.utterances
    n = len(corpus)
    columns: dict[str, Any] = {
        "id": u.id.take(pa.array(np.arange(n))),
        "dialogue": u.dialogue_names.take(pa.array(u.dialogue)),
        "turn": pa.array(u.turn),
        "speaker": u.speaker_names.take(pa.array(u.speaker)),
        "split": pa.array([None, *SPLITS], pa.string()).take(pa.array(u.split + 1)),
        "text": pa.nulls(n, pa.large_string()) if u.text is None else u.text(),
    }
    for target in corpus.targets:
        values = u.labels[target.name]
        columns[f"target.{target.name}"] = (
            pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), len(target.classes))  # (N, C) -> (N * C,)
            if target.task == "soft"
            else pa.array(values)
        )
    for modality in corpus.modalities:
        columns[f"frames.{modality.name}"] = pa.array(corpus.frames[modality.name].count)
    return pa.table(columns)


def _runs(frames: Frames) -> Iterator[tuple[int, int]]:
    """Yield the row ranges of the utterances in order; consecutive ranges are merged."""
    low = high = 0
    for start, count in zip(frames.start.tolist(), frames.count.tolist(), strict=True):
        if not count:
            continue
        if start != high:
            yield low, high
            low = start
        high = start + count
    yield low, high


def filled(part: str, n_frames: int) -> Iterator[bytes]:
    """Yield the part of frames that lack it, in blocks: ``True`` for flags, NaN for times."""
    for start in range(0, n_frames, BLOCK):
        yield FILL[part] * min(BLOCK, n_frames - start)
