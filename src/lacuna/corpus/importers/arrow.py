"""One Arrow table with the features inside: ``.feather``, ``.arrow`` or ``.parquet``, one row an utterance.

Columns of lists of numbers are modalities, see :mod:`lacuna.corpus.importers.columns`. Nothing in the file is executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Recognition, register
from lacuna.corpus.importers.columns import ColumnOptions, corpus_of, table_note
from lacuna.errors import DataError

_ROWS = 1024  # of a parquet file that are decoded at once
SUFFIXES = (".feather", ".arrow", ".parquet")


@register("arrow", reads="one .feather, .arrow or .parquet table, one row an utterance, features in columns of lists")
class ArrowTable(Importer[ColumnOptions]):
    """See the module."""

    Options = ColumnOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if a column of the schema holds lists of numbers; rows are not read."""
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            return None
        columns = [field.name for field in schema_of(path) if is_frames(field.type)]
        return Recognition(f"an Arrow table with features: {', '.join(columns)}") if columns else None

    def resembles(self, path: Path) -> bool:
        """Return whether the file is an Arrow table, and not the table of importer ``table``."""
        return path.is_file() and path.suffix.lower() in SUFFIXES and path.stem != "utterances" and bool(schema_of(path).names)

    def load(self, path: Path, *, name: str, options: ColumnOptions) -> Corpus:
        """Read all rows."""
        columns = values_of(read_table(path))
        return corpus_of(
            self.name, path, [path], columns, options, name=name, notes=[table_note(len(next(iter(columns.values()), [])))]
        )


def is_frames(kind: pa.DataType) -> bool:
    """Return whether a type of Arrow is a list of numbers, or a list of such lists."""
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth in (1, 2) and (pa.types.is_floating(kind) or pa.types.is_integer(kind))


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a parquet file, or of an Arrow file or stream."""
    if path.suffix.lower() == ".parquet":
        return pq.read_schema(path)
    with pa.memory_map(str(path)) as source:
        return _opened(source).schema


def read_table(path: Path) -> pa.Table:
    """Return the table of a parquet file, or of an Arrow file (feather) or stream (``datasets``).

    Raises:
        DataError: the file is damaged.
    """
    try:
        if path.suffix.lower() == ".parquet":
            with pq.ParquetFile(path) as file:  # decoding all rows at once needs three times the memory
                return pa.Table.from_batches(file.iter_batches(_ROWS), file.schema_arrow)
        with pa.memory_map(str(path)) as source:
            table = _opened(source).read_all()
            table.validate(full=True)  # offsets of strings and lists are read without a check otherwise
            return table
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0][:200]
        raise DataError(f"{path.name} is not a readable Arrow table", corpus=path.name, found=found) from None


def values_of(table: pa.Table) -> dict[str, list[Any]]:
    """Return the columns as Python values, vectors and sequences as arrays; dictionary-encoded columns are decoded."""
    return {name: _frames_of(table.column(name)) or table.column(name).to_pylist() for name in table.column_names}


def _frames_of(column: pa.ChunkedArray) -> list[NDArray[Any] | None] | None:
    """Return one array (d,) or (T, d) for each row of lists, ``None`` for a null; no numbers are copied.

    Returns:
        ``None`` if the column holds something else, a null inside a list, or rows of different width in a sequence.
    """
    if not is_frames(column.type):
        return None
    rows: list[NDArray[Any] | None] = []
    for chunk in column.chunks:
        edges, inner = _edges(chunk), chunk.values
        shape: tuple[int, ...] = (-1,)
        if not pa.types.is_primitive(inner.type):
            inner_edges = _edges(inner)
            widths = np.unique(np.diff(inner_edges))
            if inner.null_count or len(widths) > 1 or 0 in widths:
                return None
            shape = (-1, int(widths[0])) if len(widths) else (0, 0)  # no row of the chunk has a frame
            inner = inner.values.slice(int(inner_edges[0]), int(inner_edges[-1] - inner_edges[0]))
        if inner.null_count:
            return None
        numbers = inner.to_numpy(zero_copy_only=False).reshape(shape)  # (R,) -> (R,) or (R / d, d)
        valid = chunk.is_valid().to_numpy(zero_copy_only=False)
        rows += [
            numbers[a:b] if there else None for a, b, there in zip(edges[:-1].tolist(), edges[1:].tolist(), valid, strict=True)
        ]
    return rows


def _edges(lists: Any) -> NDArray[np.int64]:
    """Return where each list begins in its items, and where the last one ends: (N + 1,)."""
    if pa.types.is_fixed_size_list(lists.type):
        return np.arange(lists.offset, lists.offset + len(lists) + 1, dtype=np.int64) * int(lists.type.list_size)
    return np.asarray(lists.offsets, np.int64)


def _opened(source: Any) -> Any:
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)
