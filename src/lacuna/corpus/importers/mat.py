"""MATLAB files: ``.mat`` with one variable for each modality, and labels; also version 7.3, which is HDF5 (extra ``h5``).

Variables may be matrices (N, d), arrays (N, T, d), cell arrays of N matrices (T, d) or N texts, or fields of one struct; samples
may be the first or the last axis. Frames of zeros around the content of a sample of an (N, T, d) array are padding and are cut.
Variables of other length than the labels or ids are named in the notes. Otherwise as
:mod:`lacuna.corpus.importers.columns` describes.
"""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Recognition, register
from lacuna.corpus.importers.columns import ColumnOptions, corpus_of
from lacuna.corpus.importers.sources import content_bounds, describe
from lacuna.errors import DataError

_HDF5 = b"\x89HDF"
_KEYED = ("id", "ids", "label", "labels", "y", "emotion", "emotions", "target", "targets", "score", "scores")


@register("mat", reads="a MATLAB .mat (also v7.3): variables of one row or cell an utterance, such as text, audio, labels")
class Mat(Importer[ColumnOptions]):
    """See the module."""

    Options = ColumnOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if a variable has more than one axis and another one fits its length."""
        if not _is_mat(path):
            return None
        if _is_hdf5(path) and find_spec("h5py") is None:
            return Recognition("MATLAB file of version 7.3 whose variables cannot be read: h5py is not installed")
        columns, _ = _columns(path.name, _variables(path))
        wide = [k for k, v in columns.items() if v and isinstance(v[0], np.ndarray)]
        return Recognition(f"MATLAB file with variables: {', '.join(columns)}") if wide else None

    def resembles(self, path: Path) -> bool:
        """Return whether the file is a ``.mat``."""
        return _is_mat(path)

    def load(self, path: Path, *, name: str, options: ColumnOptions) -> Corpus:
        """Read all variables."""
        columns, notes = _columns(name, _variables(path))
        return corpus_of(self.name, path, [path], columns, options, name=name, notes=notes)


def _is_mat(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".mat"


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as handle:
        start = handle.read(516)
    return start.startswith(_HDF5) or start[512:516] == _HDF5  # MATLAB writes 512 bytes before it


def _variables(path: Path) -> dict[str, Any]:
    """Return the variables as arrays, lists (cell arrays) and texts; fields of a single struct stand for the struct.

    Raises:
        DataError: the file is damaged, or needs h5py.
    """
    try:
        found = _version_73(path) if _is_hdf5(path) else _version_5(path)
    except DataError:
        raise
    except Exception as error:  # a damaged file breaks the parser anywhere
        raise DataError(
            f"{path.name} is not a readable MATLAB file", corpus=path.name, found=f"{type(error).__name__}: {error}"
        ) from None
    structs = [k for k, v in found.items() if isinstance(v, dict)]
    for key in structs:
        found |= {k: v for k, v in found.pop(key).items() if k not in found}
    return found


def _version_5(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    content = loadmat(str(path), struct_as_record=True, chars_as_strings=True)
    return {k: _plain(v) for k, v in content.items() if not k.startswith("__")}


def _plain(value: Any) -> Any:
    """Return a cell array as a list, a char array as texts, and a single struct as a dictionary."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names and value.size == 1:
        return {field: _plain(value[field].reshape(-1)[0]) for field in value.dtype.names}
    if value.dtype.kind == "O":
        return [_plain(item) for item in value.reshape(-1, order="F")]
    if value.dtype.kind in "US":
        texts = [str(item).rstrip() for item in value.reshape(-1)]
        return texts[0] if len(texts) == 1 else texts
    return value


def _version_73(path: Path) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise DataError(
            "a .mat of version 7.3 needs h5py", corpus=path.name, hint="in the clone: pip install -e '.[h5]'"
        ) from None

    def item(value: Any, file: Any) -> Any:
        if isinstance(value, h5py.Group):
            return {k: item(v, file) for k, v in value.items()}
        array = value[()]
        if array.dtype == h5py.ref_dtype or array.dtype.kind == "O":
            return [item(file[reference], file) for reference in array.T.reshape(-1, order="F")]
        if value.attrs.get("MATLAB_class") == b"char":
            return "".join(map(chr, array.T.reshape(-1))) if array.dtype.kind == "u" else ""
        return array.T  # MATLAB writes the axes in reverse

    with h5py.File(path, "r") as file:
        return {k: item(v, file) for k, v in file.items() if not k.startswith("#")}


def _columns(name: str, variables: dict[str, Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the variables with one value an utterance, and notes on the others."""
    total = _total(name, variables)
    columns: dict[str, list[Any]] = {}
    notes: list[str] = []
    for key, value in variables.items():
        column = _column(value, total)
        if column is None:
            notes.append(f"variable '{key}' ({describe(value)}) was not read: it does not have {total} values")
        else:
            columns[key] = column
    return columns, notes


def _total(name: str, variables: dict[str, Any]) -> int:
    """Return the number of utterances: that of ids or labels, else the most common length above 1."""
    for key in _KEYED:
        value = next((v for k, v in variables.items() if k.lower() == key), None)
        if value is not None and (n := max(_lengths(value), default=0)) > 1:
            return n if isinstance(value, list) else _first(variables, value, n)
    lengths = [n for v in variables.values() for n in _lengths(v)]
    if not lengths:
        found = ", ".join(f"{k}: {describe(v)}" for k, v in variables.items()) or "nothing"
        raise DataError(
            "no variable has a value for each utterance", corpus=name, expected="matrices or cell arrays", found=found
        )
    return Counter(lengths).most_common(1)[0][0]


def _first(variables: dict[str, Any], labels: NDArray[Any], longest: int) -> int:
    """Return which axis of the labels counts utterances: the one whose length other variables have too."""
    others = Counter(n for v in variables.values() if v is not labels for n in _lengths(v))
    return max((int(n) for n in labels.shape if n > 1), key=lambda n: (others[n], n == longest))


def _lengths(value: Any) -> list[int]:
    if isinstance(value, list):
        return [len(value)] if len(value) > 1 else []
    return [n for n in {value.shape[0], value.shape[-1]} if n > 1] if isinstance(value, np.ndarray) and value.ndim else []


def _column(value: Any, total: int) -> list[Any] | None:
    if isinstance(value, list):
        return [_cell(item) for item in value] if len(value) == total else None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or total not in (value.shape[0], value.shape[-1]):
        return None
    if value.size == total:
        return list(value.reshape(-1).tolist())
    array = value if value.shape[0] == total else np.moveaxis(value, -1, 0)
    if array.ndim == 2:
        return list(array)
    if array.ndim != 3:
        return None
    starts, ends = content_bounds(array)
    return [sample[first:end] if end else sample[:1] for sample, first, end in zip(array, starts, ends, strict=True)]


def _cell(item: Any) -> Any:
    """Return the content of a cell: a text, a number, a vector or a sequence; an empty cell is ``None``."""
    if isinstance(item, np.ndarray):
        if not item.size:
            return None
        return item.reshape(-1)[0].item() if item.size == 1 else item
    return item
