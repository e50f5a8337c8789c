"""Writing a corpus: pieces are sorted by split into scratch files, which the end of the block joins."""

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

from lacuna.atomic import TEMPORARY, store, sweep_stale, write_json
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.storage.columns import record_type
from lacuna.corpus.storage.split_buffer import BLOCK, PARTS, Share
from lacuna.corpus.storage.tensors import write_tensors
from lacuna.errors import DataError

MANIFEST = "corpus.json"
VERSION = 1
Tensor = tuple[str, "np.dtype[Any]", tuple[int, ...], Iterator[bytes]]


def save_corpus(corpus: Corpus, folder: Path) -> Path:
    """Write a corpus; the folder holds the old or the new one at every moment, never a half.

    Args:
        corpus: what to write; its splits are written one after the other, each in the corpus's order.
        folder: made if needed; a corpus that is there is replaced.

    Returns:
        The folder.
    """
    with CorpusWriter(folder) as writer:
        writer.append(corpus)
    return folder


class CorpusWriter:
    """Write a corpus piece by piece, so that one of any size can be made without holding it in memory.

    Every piece is a :class:`Corpus` of whole dialogues with the same name, modalities and targets. The corpus appears in
    the folder when the ``with`` block ends without an error; otherwise nothing there has changed. On disk the splits follow
    each other (train, valid, test, none), so that a view on one of them needs no copies; within a split the order stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> CorpusWriter:
        self._scratch = tempfile.TemporaryDirectory(dir=self.folder, prefix=TEMPORARY, ignore_cleanup_errors=True)
        self._shares: dict[int, Share] = {}
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
                "pieces of one corpus must agree", corpus=first.name, expected=first.modalities, found=piece.modalities
            )
        u = piece.utterances
        names = u.dialogue_names.take(pa.array(np.unique(u.dialogue))).to_pylist()
        if again := self._dialogues.intersection(names):
            raise DataError("a dialogue comes in two pieces", corpus=piece.name, found=min(again))
        self._dialogues.update(names)
        pairs = np.unique(np.stack([u.dialogue, u.split], axis=1), axis=0)  # (P, 2) distinct (dialogue, split)
        if len(pairs) > len(names):
            code = Counter(pairs[:, 0].tolist()).most_common(1)[0][0]
            raise DataError("a dialogue lies in two splits", corpus=piece.name, found=u.dialogue_names[code].as_py())
        codes = np.array([self._speakers.setdefault(name, len(self._speakers)) for name in u.speaker_names.to_pylist()], np.int64)
        for split in range(-1, len(SPLITS)):
            rows = np.flatnonzero(u.split == split)
            if len(rows) or split == 0:  # the training split is there even if it is empty: a corpus has all of its columns
                share = self._shares.setdefault(split, Share(Path(self._scratch.name) / str(split)))
                share.append(piece.take(rows), codes)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            for share in self._shares.values():
                share.close()
            self._scratch.cleanup()

    def _commit(self) -> None:
        if self._like is None:
            raise DataError("a corpus needs at least one piece", corpus=str(self.folder.name))
        like = self._like
        shares = [self._shares[split] for split in (*range(len(SPLITS)), -1) if split in self._shares]
        for share in shares:
            share.table.close()
        stored = {
            "features": store(self.folder, "features", "safetensors", lambda path: _write_features(path, like, shares)),
            "utterances": store(self.folder, "utterances", "parquet", lambda path: _write_table(path, shares)),
        }
        manifest = {
            "format": VERSION,
            "name": like.name,
            "modalities": [asdict(m) for m in like.modalities],
            "targets": [asdict(t) for t in like.targets],
            "files": {kind: asdict(file) for kind, file in stored.items()},
            "provenance": asdict(like.provenance),
        }
        write_json(self.folder / MANIFEST, manifest)
        for kind, file in stored.items():
            sweep_stale(self.folder, kind, [file.name])


def _write_features(path: Path, like: Corpus, shares: list[Share]) -> None:
    kind = record_type(like.modalities, like.targets)
    shape = sum(s.rows for s in shares), kind.itemsize
    tensors: list[Tensor] = [
        ("index", np.dtype(np.uint8), shape, _index(kind, like, shares)),
        (
            "dialogues",
            np.dtype(np.int64),
            (sum(s.dialogues for s in shares),),
            chain.from_iterable(s.read("dialogues") for s in shares),
        ),
    ]
    for modality in like.modalities:
        rows = sum(s.frames[modality.name] for s in shares)
        for part, number in PARTS:
            key = f"{modality.name}.{part}"
            if part == "frames" or any(key in s.raw for s in shares):
                size = (rows, modality.dim) if part == "frames" else (rows,)
                tensors.append((key, np.dtype(number), size, _joined(modality.name, part, shares)))
    with path.open("wb") as handle:
        write_tensors(handle, tensors)


def _index(kind: np.dtype[Any], like: Corpus, shares: list[Share]) -> Iterator[bytes]:
    """The index of all splits, with codes by first appearance and rows of the joined frames."""
    dialogues, before = 0, Counter[str]()
    code: dict[int, int] = {}
    for share in shares:
        for block in share.read("index", BLOCK // kind.itemsize * kind.itemsize):
            records = np.frombuffer(bytearray(block), kind)  # a copy with the bytes between the fields
            records["dialogue"] += dialogues
            here, first, inverse = np.unique(records["speaker"], return_index=True, return_inverse=True)
            for speaker in here[np.argsort(first)].tolist():
                code.setdefault(speaker, len(code))
            records["speaker"] = np.array([code[s] for s in here.tolist()], np.int64)[inverse]
            for modality in like.modalities:
                records[f"frames.{modality.name}.start"] += before[modality.name]
            yield records.tobytes()
        dialogues += share.dialogues
        before.update(share.frames)


def _joined(modality: str, part: str, shares: list[Share]) -> Iterator[bytes]:
    """The frames of all splits, or what lies beside them."""
    key = f"{modality}.{part}"
    for share in shares:
        yield from share.read(key)
        if part == "observed" and key not in share.raw:
            for start in range(0, share.frames[modality], BLOCK):
                yield b"\x01" * min(BLOCK, share.frames[modality] - start)


def _write_table(path: Path, shares: list[Share]) -> None:
    files = [pq.ParquetFile(f"{share.stem}.table") for share in shares]
    try:
        with pq.ParquetWriter(path, files[0].schema_arrow, compression="zstd") as writer:
            for file in files:
                for batch in file.iter_batches(1 << 16):
                    writer.write_batch(batch)
    finally:
        for file in files:
            file.close()
