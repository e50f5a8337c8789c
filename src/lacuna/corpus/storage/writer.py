"""Write a corpus: pieces go to one buffer per split; the end of the ``with`` block joins the buffers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lacuna.atomic import store, sweep_partial, sweep_stale, temporary_prefix, write_json
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.storage.columns import record_type
from lacuna.corpus.storage.split_buffer import BLOCK, FILL, PARTS, SplitBuffer, filled
from lacuna.corpus.storage.tensors import write_tensors
from lacuna.errors import DataError

MANIFEST = "corpus.json"
VERSION = 1
Tensor = tuple[str, "np.dtype[Any]", tuple[int, ...], Iterator[bytes]]


def save_corpus(corpus: Corpus, folder: Path) -> Path:
    """Write a corpus atomically: a reader sees the old or the new corpus, never a part.

    Args:
        corpus: its splits are written one after the other, each in the corpus's order.
        folder: created if it does not exist; a corpus in it is replaced.

    Returns:
        The folder.

    >>> from tempfile import TemporaryDirectory
    >>> from lacuna.synthetic.duet import generate, preset
    >>> with TemporaryDirectory() as folder:
    ...     sorted(path.suffix for path in save_corpus(generate(preset("tiny")), Path(folder)).iterdir())
    ['.json', '.parquet', '.safetensors']
    """
    with CorpusWriter(folder) as writer:
        writer.append(corpus)
    return folder


class CorpusWriter:
    """Write a corpus piece by piece, so that it need not fit in memory.

    Every piece is a :class:`Corpus` of whole dialogues with the same name, modalities and targets. The corpus appears in
    the folder when the ``with`` block ends without an error; otherwise the folder does not change. On disk the splits follow
    each other (train, valid, test, none), so that a view of a split needs no copies; within a split the order is kept.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> CorpusWriter:
        sweep_partial(self.folder)
        self._scratch = tempfile.TemporaryDirectory(dir=self.folder, prefix=temporary_prefix(), ignore_cleanup_errors=True)
        self._buffers: dict[int, SplitBuffer] = {}
        self._like: Corpus | None = None
        self._dialogues: set[str] = set()
        self._speakers: dict[str, int] = {}
        return self

    def append(self, piece: Corpus) -> None:
        """Add whole dialogues.

        Raises:
            DataError: the piece differs in name, modalities or targets, or repeats a dialogue.
        """
        first = self._like
        if first is None:
            self._like = replace(piece, utterances=piece.utterances.take(np.zeros(0, np.int64)), frames={})
        elif (piece.name, piece.modalities, piece.targets) != (first.name, first.modalities, first.targets):
            raise DataError(
                "pieces of one corpus must agree in name, modalities and targets",
                corpus=first.name,
                expected=(first.name, first.modalities, first.targets),
                found=(piece.name, piece.modalities, piece.targets),
            )
        u = piece.utterances
        names = u.dialogue_names.take(pa.array(np.unique(u.dialogue))).to_pylist()
        if repeated := self._dialogues.intersection(names):
            raise DataError("a dialogue is in two pieces", corpus=piece.name, found=min(repeated), hint="put it into one piece")
        self._dialogues.update(names)
        pairs = np.unique(np.stack([u.dialogue, u.split], axis=1), axis=0)  # (P, 2) distinct (dialogue, split)
        if len(pairs) > len(names):
            code = Counter(pairs[:, 0].tolist()).most_common(1)[0][0]
            raise DataError(
                "a dialogue lies in two splits",
                corpus=piece.name,
                found=u.dialogue_names[code].as_py(),
                hint="put it into one split, or name its parts as two dialogues",
            )
        codes = np.array([self._speakers.setdefault(name, len(self._speakers)) for name in u.speaker_names.to_pylist()], np.int64)
        for split in range(-1, len(SPLITS)):
            rows = np.flatnonzero(u.split == split)
            if len(rows) or split == 0:  # an empty training split still writes all columns
                buffer = self._buffers.setdefault(split, SplitBuffer(Path(self._scratch.name) / str(split)))
                buffer.append(piece.take(rows), codes)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            for buffer in self._buffers.values():
                buffer.close()
            self._scratch.cleanup()

    def _commit(self) -> None:
        """Join the buffers into data files and write the manifest."""
        if self._like is None:
            raise DataError("a corpus needs at least one piece", corpus=str(self.folder.name))
        first = self._like
        buffers = [self._buffers[split] for split in (*range(len(SPLITS)), -1) if split in self._buffers]
        for buffer in buffers:
            buffer.table.close()
        stored = {
            "features": store(self.folder, "features", "safetensors", lambda path: _write_features(path, first, buffers)),
            "utterances": store(self.folder, "utterances", "parquet", lambda path: _write_table(path, buffers)),
        }
        manifest = {
            "format": VERSION,
            "name": first.name,
            "modalities": [asdict(m) for m in first.modalities],
            "targets": [asdict(t) for t in first.targets],
            "files": {kind: asdict(file) for kind, file in stored.items()},
            "provenance": asdict(first.provenance),
        }
        write_json(self.folder / MANIFEST, manifest)
        for kind, file in stored.items():
            sweep_stale(self.folder, kind, [file.name])


def _write_features(path: Path, first: Corpus, buffers: list[SplitBuffer]) -> None:
    """Write index, dialogue keys and frames; ``first`` has the modalities and targets of the corpus."""
    kind = record_type(first.modalities, first.targets)
    shape = sum(buffer.rows for buffer in buffers), kind.itemsize
    tensors: list[Tensor] = [
        ("index", np.dtype(np.uint8), shape, _index(kind, first, buffers)),
        (
            "dialogues",
            np.dtype(np.int64),
            (sum(buffer.dialogues for buffer in buffers),),
            chain.from_iterable(buffer.read("dialogues") for buffer in buffers),
        ),
    ]
    for modality in first.modalities:
        rows = sum(buffer.frames[modality.name] for buffer in buffers)
        for part, number in PARTS:
            key = f"{modality.name}.{part}"
            if part == "frames" or any(key in buffer.raw for buffer in buffers):
                size = (rows, modality.dim) if part == "frames" else (rows,)
                tensors.append((key, np.dtype(number), size, _joined(modality.name, part, buffers)))
    with path.open("wb") as handle:
        write_tensors(handle, tensors)


def _index(kind: np.dtype[Any], first: Corpus, buffers: list[SplitBuffer]) -> Iterator[bytes]:
    """Yield the index of all splits, with codes by first appearance and rows of the joined frames."""
    n_dialogues, n_frames = 0, Counter[str]()  # of the splits before
    new_code: dict[int, int] = {}  # by speaker code of the writer
    for buffer in buffers:
        for block in buffer.read("index", BLOCK // kind.itemsize * kind.itemsize):
            records = np.frombuffer(bytearray(block), kind)  # a writable copy that keeps the padding between the fields
            records["dialogue"] += n_dialogues
            speakers, first_row, inverse = np.unique(records["speaker"], return_index=True, return_inverse=True)
            for speaker in speakers[np.argsort(first_row)].tolist():
                new_code.setdefault(speaker, len(new_code))
            records["speaker"] = np.array([new_code[speaker] for speaker in speakers.tolist()], np.int64)[inverse]
            for modality in first.modalities:
                records[f"frames.{modality.name}.start"] += n_frames[modality.name]
            yield records.tobytes()
        n_dialogues += buffer.dialogues
        n_frames.update(buffer.frames)


def _joined(modality: str, part: str, buffers: list[SplitBuffer]) -> Iterator[bytes]:
    """Yield one part (frames, tokens, flags or times) of a modality, all splits end to end."""
    key = f"{modality}.{part}"
    for buffer in buffers:
        yield from buffer.read(key)
        if part in FILL and key not in buffer.raw:
            yield from filled(part, buffer.frames[modality])


def _write_table(path: Path, buffers: list[SplitBuffer]) -> None:
    """Write the tables of all splits as one parquet file."""
    files = [pq.ParquetFile(f"{buffer.stem}.table") for buffer in buffers]
    try:
        with pq.ParquetWriter(path, files[0].schema_arrow, compression="zstd") as writer:
            for file in files:
                for batch in file.iter_batches(1 << 16):
                    writer.write_batch(batch)
    finally:
        for file in files:
            file.close()
