"""The corpus on disk: a parquet table, a safetensors file of index and frames, and ``corpus.json``, which is written last.

The names of the two data files contain a part of their SHA-256, and ``corpus.json`` names the files. So replacing one small
file switches from the old corpus to the new one: a reader, or a process that was killed, sees one or the other.

The table is for people and has everything but the frames. The index repeats its numbers as records of fixed size
(:func:`lacuna.corpus.storage.columns.record_type`) with a stable key of each id. Opening a corpus reads neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacuna.atomic import Stored
from lacuna.corpus.corpus import Corpus, Frames, Utterances, keys_of
from lacuna.corpus.schema import SPLITS, Modality, Provenance, Target
from lacuna.corpus.storage.columns import Column, Names, coded, record_type
from lacuna.corpus.storage.tensors import map_tensors
from lacuna.corpus.storage.writer import MANIFEST, VERSION, CorpusWriter, save_corpus
from lacuna.errors import DataError, readable

__all__ = ["MANIFEST", "CorpusWriter", "open_corpus", "save_corpus"]


def open_corpus(folder: Path, *, verify: bool = False) -> Corpus:
    """Open a corpus memory-mapped: numbers, frames and strings stay on disk until they are used.

    Args:
        folder: as written by :func:`save_corpus`.
        verify: also read both data files and compare their SHA-256 with the manifest, and the table with the index.

    Returns:
        The corpus, ordered by split.

    Raises:
        DataError: the folder has no corpus, or a file is missing, truncated or changed since it was written.

    >>> from tempfile import TemporaryDirectory
    >>> from lacuna.synthetic.duet import generate, preset
    >>> with TemporaryDirectory() as folder:
    ...     corpus = open_corpus(save_corpus(generate(preset("tiny")), Path(folder)), verify=True)
    ...     (corpus.name, corpus.schema().dims, corpus.only("test").ids[:2])
    ('duet', {'text': 64, 'audio': 32, 'vision': 24}, ['d0000004-00', 'd0000004-01'])
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    with readable(f"{MANIFEST} is not a corpus manifest", folder.name, "import the source again"):
        paths = {kind: entry.check(folder, verify=verify) for kind, entry in manifest["files"].items()}
        tensors = map_tensors(paths["features"])
    with readable("the corpus cannot be read", folder.name, _HINT):
        modalities = tuple(Modality(**m) for m in manifest["modalities"])
        targets = tuple(Target(**t) for t in manifest["targets"])
        source = pa.memory_map(str(paths["utterances"]))
        records = _records(tensors, record_type(modalities, targets), source)
        corpus = Corpus(
            name=str(manifest["name"]),
            modalities=modalities,
            targets=targets,
            utterances=_utterances(source, records, targets, _dialogues(tensors)),
            frames={m.name: _frames(m.name, tensors, records) for m in modalities},
            provenance=Provenance(**manifest["provenance"]),
            digest="-".join(manifest["files"][kind].sha256[:16] for kind in sorted(paths)),
            place=folder.absolute(),
        )
        if verify and (column := next(_disagreements(corpus, source), None)):
            raise DataError("index and table disagree", corpus=folder.name, found=f"column '{column}'", hint=_HINT)
    return corpus


_HINT = "create it again from its source"


def _manifest(folder: Path) -> dict[str, Any]:
    """Read and check ``corpus.json``.

    Raises:
        DataError: it is missing, damaged, or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            "no corpus here", corpus=folder.name, expected=f"a folder with {MANIFEST}", found="no such file", hint="import one"
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if manifest["format"] != VERSION:
            raise DataError(
                "the corpus has another format",
                corpus=folder.name,
                expected=VERSION,
                found=manifest["format"],
                hint="import the source again with this version of Lacuna",
            )
        manifest["files"] = {kind: Stored(**manifest["files"][kind]) for kind in ("features", "utterances")}
        if missing := {"name", "modalities", "targets", "provenance"} - set(manifest):
            raise KeyError(missing.pop())
    except DataError:
        raise
    except Exception as error:  # an edited manifest may hold anything
        raise DataError(
            f"{MANIFEST} is not a corpus manifest", corpus=folder.name, found=repr(error), hint="import the source again"
        ) from None
    return manifest


def _records(tensors: dict[str, NDArray[np.generic]], kind: np.dtype[Any], source: pa.NativeFile) -> NDArray[Any]:
    """Return the index as (N,) records, memory-mapped.

    Raises:
        DataError: a tensor is missing, or index and table differ in length.
        KeyError: the table lacks a column.
    """
    table = pq.ParquetFile(source)
    columns = set(table.schema_arrow.names)
    for name in ("id", "text", *(n.removesuffix(".start") for n in kind.names or () if not n.endswith(".count"))):
        if name not in columns and name != "key":
            modality = name.removeprefix("frames.")
            if modality != name and f"{modality}.frames" not in tensors:
                raise _lacking(f"{modality}.frames", tensors)
            raise KeyError(f"no column '{name}' in the table")
    if "index" not in tensors:
        raise _lacking("index", tensors)
    index, rows = tensors["index"], table.metadata.num_rows
    if index.dtype != np.uint8 or index.shape != (rows, kind.itemsize):
        raise DataError(
            "index and table disagree", expected=f"({rows}, {kind.itemsize}) bytes of index", found=index.shape, hint=_HINT
        )
    return cast(NDArray[Any], index.reshape(-1).view(kind))


def _lacking(name: str, tensors: dict[str, NDArray[np.generic]]) -> DataError:
    """Return the error for a missing tensor."""
    return DataError("the features lack a tensor", expected=name, found=", ".join(tensors), hint=_HINT)


def _dialogues(tensors: dict[str, NDArray[np.generic]]) -> NDArray[np.uint64]:
    """Return (D,) keys of the names of the dialogues, by their codes. They are stored as int64, which all readers support."""
    if "dialogues" not in tensors:
        raise _lacking("dialogues", tensors)
    return tensors["dialogues"].view(np.uint64)


def _utterances(
    source: pa.NativeFile, records: NDArray[Any], targets: tuple[Target, ...], dialogues: NDArray[np.uint64]
) -> Utterances:
    all_rows = slice(0, len(records))

    def names(column: str, keys: NDArray[np.uint64] | None = None) -> Names:
        return Names(lambda: coded(source, column).dictionary.cast(pa.large_string()), keys)

    return Utterances(
        id=Column(source, "id", all_rows, records["key"]),
        dialogue=records["dialogue"],
        turn=records["turn"],
        speaker=records["speaker"],
        split=records["split"],
        labels={t.name: records[f"target.{t.name}"] for t in targets},
        dialogue_names=names("dialogue", dialogues),
        speaker_names=names("speaker"),
        text=Column(source, "text", all_rows),
    )


def _frames(name: str, tensors: dict[str, NDArray[np.generic]], records: NDArray[Any]) -> Frames:
    if f"{name}.frames" not in tensors:
        raise _lacking(f"{name}.frames", tensors)
    return Frames(
        values=cast(NDArray[np.float32], tensors[f"{name}.frames"]),
        start=records[f"frames.{name}.start"],
        count=records[f"frames.{name}.count"],
        observed=cast("NDArray[np.bool_] | None", tensors.get(f"{name}.observed")),
        tokens=cast("NDArray[np.int64] | None", tensors.get(f"{name}.tokens")),
        times=cast("NDArray[np.float32] | None", tensors.get(f"{name}.times")),
    )


def _disagreements(corpus: Corpus, source: pa.NativeFile) -> Iterator[str]:
    """Yield the names of the columns of the table that differ from the index; one column is in memory at a time."""
    u = corpus.utterances

    def column(name: str) -> pa.Array:
        return pa.concat_arrays(pq.ParquetFile(source).read(columns=[name]).column(0).chunks or [pa.array([])])

    def same(values: Any, stored: NDArray[Any]) -> bool:
        values = np.asarray(values).reshape(stored.shape)
        return np.array_equal(values, stored, equal_nan=stored.dtype.kind == "f")

    if not same(keys_of(column("id").to_pylist()), corpus.keys):
        yield "id"
    if not np.array_equal(keys_of(u.dialogue_names.to_pylist()), u.dialogue_names.keys):
        yield "dialogue"
    for name, codes in (("dialogue", u.dialogue), ("speaker", u.speaker)):
        if not same(coded(source, name).indices, codes):
            yield name
    if not same(column("turn"), u.turn):
        yield "turn"
    if not same(pa.compute.fill_null(pa.compute.index_in(column("split"), pa.array(SPLITS)), -1), u.split):
        yield "split"
    for target in corpus.targets:
        values = column(f"target.{target.name}")
        if not same(values.flatten() if target.task == "soft" else values, u.labels[target.name]):
            yield f"target.{target.name}"
    for modality in corpus.modalities:
        if not same(column(f"frames.{modality.name}"), corpus.frames[modality.name].count):
            yield f"frames.{modality.name}"
