"""The corpus on disk: a parquet table, a safetensors file of frames, and ``corpus.json``, which is written last.

The two data files carry a part of their SHA-256 in their names, and ``corpus.json`` names them. So replacing one small
file switches from the old corpus to the new one: a reader, or a process killed half-way, sees one or the other.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacuna.atomic import TEMPORARY, Stored, store, sweep_stale, write_json
from lacuna.corpus.corpus import Corpus, Frames, Labels, Utterances
from lacuna.corpus.schema import SPLITS, Modality, Provenance, Target
from lacuna.corpus.tensors import map_tensors, write_tensors
from lacuna.errors import DataError

MANIFEST = "corpus.json"
VERSION = 1
_BLOCK = 1 << 22  # bytes


def save_corpus(corpus: Corpus, folder: Path) -> Path:
    """Write a corpus; the folder holds the old or the new one at every moment, never a half.

    Args:
        corpus: what to write.
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
    the folder when the ``with`` block ends without an error; otherwise nothing there has changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> CorpusWriter:
        self._scratch = tempfile.TemporaryDirectory(dir=self.folder, prefix=TEMPORARY, ignore_cleanup_errors=True)
        self._table: pq.ParquetWriter | None = None
        self._raw: dict[str, IO[bytes]] = {}
        self._offsets: dict[str, list[NDArray[np.int64]]] = {}
        self._rows: dict[str, int] = {}
        self._like: Corpus | None = None
        self._dialogues: set[str] = set()
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
        names = set(piece.utterances.dialogue_names.take(pa.array(np.unique(piece.utterances.dialogue))).to_pylist())
        if names & self._dialogues:
            raise DataError("a dialogue comes in two pieces", corpus=piece.name, found=sorted(names & self._dialogues)[0])
        self._dialogues |= names
        table = _table(piece)
        if self._table is None:
            self._table = pq.ParquetWriter(Path(self._scratch.name) / "table", table.schema, compression="zstd")
        self._table.write_table(table, row_group_size=1 << 16)
        for modality in piece.modalities:
            self._append_frames(modality.name, piece.frames[modality.name])

    def _append_frames(self, name: str, frames: Frames) -> None:
        done = self._rows.get(name, 0)
        self._rows[name] = done + int(frames.count.sum())
        self._offsets.setdefault(name, []).append(done + np.cumsum(frames.count) - frames.count)
        here, observed = self._rows[name] - done, f"{name}.observed"
        for key, source in (
            (f"{name}.frames", frames.values),
            (f"{name}.tokens", frames.tokens),
            (observed, frames.observed),
        ):
            if source is None:
                if key == observed and key in self._raw:  # an earlier piece has flags
                    _all_observed(self._raw[key], here)
                continue
            if key not in self._raw:
                self._raw[key] = (Path(self._scratch.name) / key).open("w+b")
                if key == observed:
                    _all_observed(self._raw[key], done)
            for low, high in _runs(frames):
                for start in range(low, high, 1 << 14):
                    self._raw[key].write(np.ascontiguousarray(source[start : min(high, start + (1 << 14))]).tobytes())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if self._table is not None:
                self._table.close()
            if kind is None:
                self._commit()
        finally:
            for handle in self._raw.values():
                handle.close()
            self._scratch.cleanup()

    def _commit(self) -> None:
        if self._like is None:
            raise DataError("a corpus needs at least one piece", corpus=str(self.folder.name))
        like, table = self._like, Path(self._scratch.name) / "table"
        stored = {
            "features": store(self.folder, "features", "safetensors", lambda path: self._write_features(path, like)),
            "utterances": store(self.folder, "utterances", "parquet", lambda path: os.replace(table, path)),
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

    def _write_features(self, path: Path, like: Corpus) -> None:
        with path.open("wb") as handle:
            write_tensors(handle, list(self._tensors(like)))

    def _tensors(self, like: Corpus) -> Iterator[tuple[str, Any, tuple[int, ...], Iterator[bytes]]]:
        for modality in like.modalities:
            name, rows = modality.name, self._rows[modality.name]
            offsets = np.concatenate([*self._offsets[name], [rows]]).astype(np.int64)
            yield f"{name}.offsets", np.dtype(np.int64), offsets.shape, iter([offsets.tobytes()])
            for part, kind, shape in (
                ("frames", np.float32, (rows, modality.dim)),
                ("tokens", np.int64, (rows,)),
                ("observed", np.bool_, (rows,)),
            ):
                key = f"{name}.{part}"
                if key in self._raw:
                    yield key, np.dtype(kind), shape, _blocks(self._raw[key])
                elif part == "frames":
                    yield key, np.dtype(kind), shape, iter([])


def open_corpus(folder: Path, *, verify: bool = False) -> Corpus:
    """Open a corpus memory-mapped: the index is read, the frames and transcripts stay on disk until asked for.

    Args:
        folder: as written by :func:`save_corpus`.
        verify: also compare the SHA-256 of both data files with the manifest (reads them once).

    Raises:
        DataError: no corpus there, a file missing, truncated or changed since it was written.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    paths = {kind: entry.check(folder, verify=verify) for kind, entry in manifest["files"].items()}
    try:
        modalities = tuple(Modality(**m) for m in manifest["modalities"])
        targets = tuple(Target(**t) for t in manifest["targets"])
        utterances = _utterances(paths["utterances"], targets)
        pa.default_memory_pool().release_unused()  # what decoding took would stay with the process
        provenance = Provenance(**manifest["provenance"])
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        raise _unreadable(folder, error) from None
    tensors = map_tensors(paths["features"])
    return Corpus(
        name=str(manifest["name"]),
        modalities=modalities,
        targets=targets,
        utterances=utterances,
        frames={m.name: _frames(m.name, tensors, len(utterances.dialogue)) for m in modalities},
        provenance=provenance,
    )


def _unreadable(folder: Path, error: Exception) -> DataError:
    return DataError(
        "the corpus cannot be read",
        corpus=folder.name,
        found=f"{type(error).__name__}: {error}",
        hint="make it again from its source",
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError("no corpus here", corpus=folder.name, expected=f"a folder with {MANIFEST}", found="no such file")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if manifest["format"] != VERSION:
            raise DataError("the corpus has another format", corpus=folder.name, expected=VERSION, found=manifest["format"])
        manifest["files"] = {kind: Stored(**manifest["files"][kind]) for kind in ("features", "utterances")}
        if missing := {"name", "modalities", "targets", "provenance"} - set(manifest):
            raise KeyError(missing.pop())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{MANIFEST} is not a corpus manifest", corpus=folder.name, found=repr(error)) from None
    return manifest


def _table(corpus: Corpus) -> pa.Table:
    u = corpus.utterances
    n = len(corpus)
    columns: dict[str, Any] = {
        "id": u.id,
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


def _utterances(path: Path, targets: tuple[Target, ...]) -> Utterances:
    labels = [f"target.{t.name}" for t in targets]
    columns = ["id", "dialogue", "turn", "speaker", "split", *labels]
    table = pq.read_table(path, columns=columns, read_dictionary=["dialogue", "speaker"]).combine_chunks().unify_dictionaries()

    def column(name: str) -> pa.Array:
        chunks = table.column(name).chunks
        return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)

    def codes(name: str) -> tuple[NDArray[np.int64], pa.Array]:
        encoded = column(name)
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary

    dialogue, dialogue_names = codes("dialogue")
    speaker, speaker_names = codes("speaker")
    turn = column("turn").to_numpy()
    split = pa.compute.fill_null(pa.compute.index_in(column("split"), pa.array(SPLITS)), -1)
    kept: dict[str, Labels] = {}
    for target in targets:
        values = column(f"target.{target.name}")
        if target.task == "soft":
            kept[target.name] = (
                values.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(target.classes))
            )  # (N * C,) -> (N, C)
        else:
            kept[target.name] = values.to_numpy(zero_copy_only=False)
    ids = column("id").cast(pa.large_string())
    return Utterances(
        id=ids,
        dialogue=dialogue,
        turn=turn,
        speaker=speaker,
        split=split.to_numpy(zero_copy_only=False).astype(np.int64),
        labels=kept,
        dialogue_names=dialogue_names.cast(pa.large_string()),
        speaker_names=speaker_names.cast(pa.large_string()),
        text=lambda: pq.read_table(path, columns=["text"]).column("text").combine_chunks(),
    )


def _frames(name: str, tensors: dict[str, NDArray[np.generic]], total: int) -> Frames:
    try:
        offsets = cast(NDArray[np.int64], tensors[f"{name}.offsets"])
        values = cast(NDArray[np.float32], tensors[f"{name}.frames"])
    except KeyError as error:
        raise DataError("the features lack a tensor", modality=name, expected=str(error), found=", ".join(tensors)) from None
    if len(offsets) != total + 1 or values.ndim != 2:
        raise DataError(
            "the features do not fit the utterances", modality=name, expected=f"{total + 1} offsets", found=offsets.shape
        )
    return Frames(
        values=values,
        start=offsets[:-1],
        count=np.diff(offsets),
        observed=cast("NDArray[np.bool_] | None", tensors.get(f"{name}.observed")),
        tokens=cast("NDArray[np.int64] | None", tensors.get(f"{name}.tokens")),
    )


def _runs(frames: Frames) -> Iterator[tuple[int, int]]:
    """Row ranges of the utterances in order, neighbours merged."""
    low = high = 0
    for start, count in zip(frames.start.tolist(), frames.count.tolist(), strict=True):
        if not count:
            continue
        if start != high:
            yield low, high
            low = start
        high = start + count
    yield low, high


def _all_observed(handle: IO[bytes], rows: int) -> None:
    """Flags for frames of pieces that came without any."""
    for start in range(0, rows, _BLOCK):
        handle.write(b"\x01" * min(_BLOCK, rows - start))


def _blocks(handle: IO[bytes]) -> Iterator[bytes]:
    handle.seek(0)
    while block := handle.read(_BLOCK):
        yield block
