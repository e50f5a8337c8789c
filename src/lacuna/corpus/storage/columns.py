"""The columns of a corpus on disk: numbers in records of fixed size, strings in a parquet file that is read on access."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacuna.corpus.schema import Modality, Target

Rows = NDArray[np.int64] | slice
_NUMBERS = ("dialogue", "turn", "speaker", "split")


def record_type(modalities: Sequence[Modality], targets: Sequence[Target]) -> np.dtype[Any]:
    """Return the record of one utterance in the index: its numbers side by side, 8 bytes each, so that a row is one read."""
    fields: list[tuple[Any, ...]] = [("key", np.uint64), *((name, np.int64) for name in _NUMBERS)]
    for modality in modalities:
        fields += [(f"frames.{modality.name}.start", np.int64), (f"frames.{modality.name}.count", np.int64)]
    kinds: dict[str, tuple[Any, ...]] = {"classification": (np.int64,), "regression": (np.float32,)}
    for target in sorted(targets, key=lambda t: t.task != "classification"):  # integers first, so that all are aligned to 8 bytes
        fields.append((f"target.{target.name}", *kinds.get(target.task, (np.float32, (len(target.classes),)))))
    return np.dtype(fields, align=True)


@dataclass(frozen=True, eq=False)
class Column:
    """A view of a column of strings in a parquet file, with the interface of an arrow array; only requested rows are read.

    Attributes:
        source: the open parquet file.
        name: name of the column.
        rows: rows of the file in this view: a slice with start and stop, or (N,) int64.
        keys: (N,) uint64 stable keys of the strings, if the index has them.
    """

    source: pa.NativeFile
    name: str
    rows: Rows
    keys: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return self.rows.stop - self.rows.start if isinstance(self.rows, slice) else len(self.rows)

    def view(self, rows: Rows) -> Column:
        """Return the strings at ``rows``, (R,) int64 or a slice with start and stop; they stay unread."""
        keys = None if self.keys is None else self.keys[rows]
        if not isinstance(self.rows, slice):
            return replace(self, rows=self.rows[rows], keys=keys)
        first = self.rows.start
        if isinstance(rows, slice):
            return replace(self, rows=slice(first + rows.start, first + rows.stop), keys=keys)
        return replace(self, rows=first + rows, keys=keys)

    def take(self, rows: Any) -> pa.Array:
        """Read the strings at ``rows``."""
        return self.view(np.asarray(rows, np.int64))()

    def slice(self, offset: int, length: int | None = None) -> pa.Array:
        """Read ``length`` strings from ``offset`` on, by default all that follow."""
        stop = len(self) if length is None else min(len(self), offset + length)
        return self.view(slice(offset, stop))()

    def to_pylist(self) -> list[str | None]:
        """Read all strings."""
        texts: list[str | None] = self().to_pylist()
        return texts

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return self.take(np.arange(len(self))[item])
        return self.take([range(len(self))[item]])[0]

    def __call__(self) -> pa.Array:
        """Read all strings, one row group of the file at a time."""
        rows = np.arange(self.rows.start, self.rows.stop) if isinstance(self.rows, slice) else self.rows
        file = pq.ParquetFile(self.source)
        ends = np.cumsum([file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)])
        group = np.searchsorted(ends, rows, side="right")
        pieces, position = [pa.array([], pa.large_string())], np.empty(len(rows), np.int64)  # position of each row in the pieces
        n_read = 0
        for g in np.unique(group).tolist():
            in_group = np.flatnonzero(group == g)
            first = ends[g] - file.metadata.row_group(g).num_rows
            column = file.read_row_group(g, columns=[self.name]).column(0).cast(pa.large_string())
            pieces.append(pa.concat_arrays(column.chunks).take(pa.array(rows[in_group] - first)))
            position[in_group] = n_read + np.arange(len(in_group))
            n_read += len(in_group)
        return pa.concat_arrays(pieces).take(pa.array(position))


class Names:
    """The different strings of a column by first appearance: an arrow array that is read on access.

    Attributes:
        keys: (D,) uint64 stable keys of the strings, if the corpus stores them.
    """

    def __init__(self, load: Callable[[], pa.Array], keys: NDArray[np.uint64] | None = None) -> None:
        self._load = load
        self.keys = keys

    @cached_property
    def _array(self) -> pa.Array:
        return self._load()

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, item: Any) -> Any:
        return self._array[item]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying or inspecting the object reads nothing
            raise AttributeError(name)
        return getattr(self._array, name)


def coded(source: pa.NativeFile, name: str) -> pa.DictionaryArray:
    """Read a column of names as a dictionary array; codes are numbered by first appearance."""
    table = pq.ParquetFile(source, read_dictionary=[name]).read(columns=[name]).combine_chunks().unify_dictionaries()
    chunks = table.column(0).chunks
    pieces = [c if isinstance(c, pa.DictionaryArray) else c.dictionary_encode() for c in chunks]
    return pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
