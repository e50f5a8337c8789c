"""Your own corpus: a folder with one table of utterances and one file of features a modality.

``utterances.csv`` (with a header, UTF-8, separated by commas, semicolons or tabs) or ``utterances.parquet``::

    id        one name an utterance, unique                                     (needed)
    dialogue  which conversation or video it belongs to                         (default: the id, every utterance alone)
    turn      position in the dialogue, a whole number                          (default: order of the rows)
    speaker   who speaks                                                        (default: unknown)
    split     train, valid, test, or empty                                      (default: no splits; make them by folds)
    text      what was said                                                     (optional)
    ...       any other column is a label: text = classes, numbers = a score, empty = unlabelled

Say it yourself where that guess is wrong: ``targets=("emotion", "score")`` picks columns and their order, and
``classes=("stars",)`` reads numbers as classes. ``soft=("anger", "joy")`` reads several columns of shares or vote counts as one
distribution (target ``votes``); a row of empty cells is unlabelled.

One file a modality, named after it (``audio.npy``, ``text.safetensors``, ...):

* ``.npy``: (N, d) one vector an utterance, or (N, T, d) sequences, rows in the order of the table. A row that is NaN
  throughout is absent (a frame of a sequence: behind the others it is padding, between them it was not observed). Other
  NaN and inf fall under ``nonfinite``.
* ``.npz``: either arrays keyed by utterance id, (d,) or (T, d) each, where a missing key is an absent modality; or
  ``frames`` (sum T, d) and ``lengths`` (N,) in the order of the table, where length 0 is absent.
* ``.safetensors``: tensors keyed by utterance id, as above.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register, slug
from lacuna.corpus.importers.sources import Zeros, first_line, folder_files, many, provenance, read_npy, read_npz
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.tensors import map_tensors
from lacuna.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

_TABLES = ("utterances.csv", "utterances.parquet")
_FEATURES = (".npy", ".npz", ".safetensors")
_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs"}
_COMMA, _PLAIN = r"[+-]?\d+,\d+", r"[+-]?\d+"  # numbers as a German Excel writes them
_RATERS = 100  # more votes than that are no votes
_COLUMNS = ("id", "dialogue", "turn", "speaker", "split", "text")


@dataclass(frozen=True)
class TableOptions(Options):
    """Options of ``table``.

    Attributes:
        targets: label columns to read, the first one being the default target; ``None`` = every column that is not standard.
        classes: label columns of numbers that are classes and not a score.
        soft: columns of shares or vote counts that make one target ``votes``.
        modalities: which feature files to read; ``None`` = all.
        zeros: recordings of nothing but zeros: ``keep`` them, or read them as ``absent``.
        nonfinite: what to do with NaN and inf that do not say that a modality is absent.
    """

    targets: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    modalities: tuple[str, ...] | None = None
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


@register(
    "table", reads="your own corpus: a folder with utterances.csv (or .parquet) and one .npy, .npz or .safetensors a modality"
)
class Table(Importer[TableOptions]):
    """See the module."""

    Options = TableOptions

    def recognise(self, path: Path) -> Recognition | None:
        """The table and at least one feature file are there."""
        files = folder_files(path)
        features = sorted({f.stem for f in files.values() if f.suffix in _FEATURES})
        table = next((files[t] for t in _TABLES if t in files), None)
        if table is None or not features or (table.suffix == ".csv" and "id" not in _header(first_line(table))[1]):
            return None
        return Recognition(f"a table of utterances ({table.name}) with features: {', '.join(features)}")

    def resembles(self, path: Path) -> bool:
        """A table of that name is there."""
        return any(name in folder_files(path) for name in _TABLES)

    def load(self, path: Path, *, name: str, options: TableOptions) -> Corpus:
        """Read the table, then the features."""
        files = folder_files(path)
        table_file = next((files[t] for t in _TABLES if t in files), None)
        if table_file is None:
            raise DataError(
                "no table of utterances", corpus=name, expected=" or ".join(_TABLES), found=", ".join(files) or "nothing"
            )
        table, read = _read(table_file)
        names = _ids(table_file.name, table)
        features = _features(name, files, options.modalities)
        targets, labels, notes = _targets(table_file.name, table, options)
        dialogues = _strings(table, "dialogue")
        splits = _strings(table, "split")
        return assemble(
            name,
            ids=names,
            dialogues=names if dialogues is None else [i if d is None else d for d, i in zip(dialogues, names, strict=True)],
            turns=table["turn"].tolist() if "turn" in table else list(range(len(names))),
            channels={m: _channel(m, file, names, options.zeros) for m, file in features.items()},
            targets=targets,
            labels=dict(labels),
            splits=None if splits is None else [_split(s) for s in splits],
            speakers=None if "speaker" not in table else [s or "unknown" for s in _strings(table, "speaker") or []],
            texts=_strings(table, "text"),
            provenance=provenance(self.name, path, [table_file, *features.values()], notes=[*read, *notes]),
            nonfinite=options.nonfinite,
        )


def _header(line: str) -> tuple[str, list[str]]:
    """Separator and cells of the first line: the separator that makes a cell ``id``, or the one that makes most cells."""
    cells = {separator: [c.strip() for c in next(csv.reader([line], delimiter=separator), [])] for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda s: ("id" in cells[s], len(cells[s])))  # the first one of equals
    return best, cells[best]


def _ids(file: str, table: pd.DataFrame) -> list[str]:
    """The id of every row."""
    ids, columns = _strings(table, "id"), [str(c) for c in table.columns]
    if ids is None:
        unique = [c for c in columns if table[c].notna().all() and table[c].is_unique]
        like = next((c for c in columns if c.strip().lower() in ("id", "name", "utterance", "utterance_id")), None)
        candidate = like or next(iter(unique), None)
        raise DataError(
            f"{file} has no column 'id'",
            expected="a column 'id' with one name an utterance",
            found=", ".join(columns),
            hint="add one" if candidate is None else f"rename the column that names the utterances to 'id' ('{candidate}'?)",
        )
    if None in ids:
        raise DataError(f"{file}: line {ids.index(None) + 2} has no id", expected="an id in every row", found="an empty cell")
    names = [str(i) for i in ids]
    if len(set(names)) != len(names):
        twin = next(i for i in names if names.count(i) > 1)
        raise DataError(f"{file}: an id comes twice", utterance=twin, found=f"{names.count(twin)} rows")
    return names


def _read(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table, and what a person should know of how it was read."""
    import pandas as pd  # here: slow to import
    import pyarrow as pa

    hint = None
    try:
        return (pd.read_parquet(file), []) if file.suffix == ".parquet" else _read_csv(file)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found, hint = f"byte 0x{error.object[error.start]:02x} in line {line}", "save it as UTF-8 (in Excel: 'CSV UTF-8')"
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        found = str(error)
    expected = "a header and rows" + (", as UTF-8" if hint else "")
    raise DataError(f"{file.name} is not a readable table", expected=expected, found=found, hint=hint)


def _read_csv(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Every cell as text, empty ones as None; label columns as numbers where all of them are. Strict: pandas pads short lines."""
    import pandas as pd

    text = file.read_bytes().decode("utf-8-sig")
    if not text.strip():
        raise ValueError("an empty file")
    separator = _header(text.lstrip("\r\n").partition("\n")[0].rstrip("\r"))[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = [h.strip() for h in next((row for row in reader if row), [])]
    rows = []
    for row in reader:
        if row and len(row) != len(header):
            told = f"{file.name}: line {reader.line_num} is malformed"
            raise DataError(told, expected=f"{many(len(header), 'field')}, as in the header", found=len(row))
        rows += [row] if row else []
    if len(set(header)) != len(header) or not rows:
        raise ValueError("column names repeat" if rows else "no rows")
    table = pd.DataFrame([[cell if cell != "" else None for cell in row] for row in rows], columns=header, dtype=object)
    commas = []
    for column in [c for c in header if c not in _COLUMNS]:
        cells = table[column]
        if separator != "," and cells.str.fullmatch(_COMMA).any() and cells.dropna().str.fullmatch(f"{_COMMA}|{_PLAIN}").all():
            cells = cells.str.replace(",", ".", regex=False)
            commas.append(column)
        numbers = pd.to_numeric(cells, errors="coerce")
        if (numbers.isna() == table[column].isna()).all() and not numbers.isna().all():
            table[column] = numbers
    notes = [f"{file.name} is separated by {_SEPARATORS[separator]}"] if separator != "," else []
    return table, [*notes, *([f"decimal commas read in: {', '.join(commas)}"] if commas else [])]


def likely_votes(path: Path) -> list[str]:
    """Columns of a table that look like votes of raters: small counts, 0 in some rows, not all of them 0 in any row.

    Args:
        path: a folder that this importer reads.

    Returns:
        Their names; none if there are no two.
    """
    files = folder_files(path)
    table, _ = _read(next(files[t] for t in _TABLES if t in files))
    columns = []
    for column in [c for c in table.columns if c not in _COLUMNS]:
        votes = table[column].to_numpy()
        if votes.dtype.kind in "iuf" and ((votes >= 0) & (votes <= _RATERS) & (votes % 1 == 0)).all() and not votes.all():
            columns.append(str(column))
    return columns if len(columns) > 1 and (table[columns].sum(axis=1) > 0).all() else []


def _strings(table: pd.DataFrame, column: str) -> list[str | None] | None:
    if column not in table:
        return None
    return [None if missing else str(value) for value, missing in zip(table[column], table[column].isna(), strict=True)]


def _split(value: str | None) -> str | None:
    """Usual names of splits; anything else is left for the error that lists the right ones."""
    if value is None:
        return None
    plain = value.strip().lower()
    return {"val": "valid", "dev": "valid", "validation": "valid"}.get(plain, plain if plain in SPLITS else value)


def _features(name: str, files: dict[str, Path], chosen: tuple[str, ...] | None) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files.values():
        if file.suffix in _FEATURES and (chosen is None or file.stem in chosen):
            if file.stem in found:
                raise DataError(
                    "two files for one modality", corpus=name, modality=file.stem, found=f"{found[file.stem].name}, {file.name}"
                )
            found[file.stem] = file
    if missing := [m for m in chosen or () if m not in found]:
        raise ConfigError(
            f"corpus '{name}' has no file for modality {missing[0]!r}; expected {missing[0]}.npy, .npz or .safetensors"
        )
    if not found:
        raise DataError(
            "no features",
            corpus=name,
            expected="at least one .npy, .npz or .safetensors beside the table",
            found=", ".join(files),
            hint="write one file a modality, named after it: e.g. text.npy of shape (utterances, width), rows as in the table",
        )
    return found


def _channel(modality: str, file: Path, ids: list[str], zeros: Zeros) -> Channel:
    if file.suffix == ".npy":
        frames, observed = _dense(file, modality, len(ids))
    else:
        arrays = map_tensors(file) if file.suffix == ".safetensors" else read_npz(file)
        if set(arrays) == {"frames", "lengths"}:
            frames = _ragged(file, modality, arrays, len(ids))
        else:
            if foreign := sorted(set(arrays) - set(ids)):
                raise DataError(
                    f"{file.name}: {many(len(foreign), 'key')} {'is' if len(foreign) == 1 else 'are'} no utterance of the table",
                    modality=modality,
                    expected="utterance ids as keys, or 'frames' and 'lengths'",
                    found=f"'{foreign[0]}'",
                )
            frames = [arrays.get(i) for i in ids]
        observed = None
    if zeros == "absent":
        frames = [None if f is None or not np.any(f) else f for f in frames]
        observed = None if observed is None else [None if f is None else o for f, o in zip(frames, observed, strict=True)]
    return Channel(frames, f"{file.name} of the owner", observed=observed)


def _dense(file: Path, modality: str, total: int) -> tuple[list[Any], list[Any] | None]:
    """(N, d) or (N, T, d), NaN rows being absent: the frames and which of them were observed."""
    array = read_npy(file)
    if array.ndim not in (2, 3) or len(array) != total or array.dtype.kind not in "fiub":
        raise DataError(
            f"{file.name}: the features do not match the table",
            modality=modality,
            expected=f"numbers of shape ({total}, width) or ({total}, frames, width)",
            found=f"{array.dtype} of shape {array.shape}",
        )
    frames: list[Any] = []
    observed: list[Any] = []
    for sample in array:
        sequence = np.atleast_2d(sample)
        there = ~np.isnan(sequence).all(axis=1) if array.dtype.kind == "f" else np.ones(len(sequence), bool)
        end = len(there) - int(there[::-1].argmax()) if there.any() else 0
        seen = there[:end]
        frames.append(np.where(seen[:, None], sequence[:end], 0) if end else None)
        observed.append(seen if end else None)
    return frames, observed


def _ragged(file: Path, modality: str, arrays: dict[str, NDArray[Any]], total: int) -> list[Any]:
    frames, lengths = arrays["frames"], arrays["lengths"]
    fits = lengths.shape == (total,) and lengths.dtype.kind in "iu" and (lengths >= 0).all() and frames.ndim == 2
    if not fits or int(lengths.sum()) != len(frames):
        raise DataError(
            f"{file.name}: frames and lengths do not match the table",
            modality=modality,
            expected=f"{total} lengths that sum to the number of frames",
            found=f"{lengths.size} lengths that sum to {lengths.sum()}, frames of shape {frames.shape}",
        )
    return np.split(frames, np.cumsum(lengths)[:-1])


def _targets(file: str, table: pd.DataFrame, options: TableOptions) -> tuple[list[Target], dict[str, Any], list[str]]:
    named = [*(options.targets or ()), *options.classes, *options.soft]
    if unknown := [c for c in named if c not in table]:
        raise ConfigError(f"{file} has no column {unknown[0]!r}; it has: {', '.join(map(str, table.columns))}")
    free = [c for c in table.columns if c not in _COLUMNS and c not in options.soft]
    chosen = list(options.targets) if options.targets is not None else free
    targets: list[Target] = []
    labels: dict[str, Any] = {}
    for column in chosen:
        target, values = _target(file, table[column], column, column in options.classes)
        targets.append(target)
        labels[target.name] = values
    if options.soft:
        votes = table[list(options.soft)].to_numpy(np.float64)
        total = votes.sum(axis=1, keepdims=True)
        if (row := next(iter(np.flatnonzero((votes < 0).any(axis=1) | (total[:, 0] == 0))), None)) is not None:
            raise DataError(
                f"{file}: line {row + 2} holds no shares", expected="shares or counts, some above 0", found=votes[row]
            )
        targets.append(Target("votes", "soft", options.soft))
        labels["votes"] = votes / total
    left = [c for c in free if c not in chosen]
    told = [f"{t.name}: {t.task}" + (f" of {len(t.classes)} classes" if t.classes else "") for t in targets]
    return (
        targets,
        labels,
        [f"targets read: {'; '.join(told) or 'none'}", *([f"columns not read: {', '.join(left)}"] if left else [])],
    )


def _target(file: str, values: pd.Series[Any], column: str, classes: bool) -> tuple[Target, NDArray[Any]]:
    import pandas as pd

    if not classes and pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return Target(slug(column), "regression"), values.to_numpy(np.float64, na_value=np.nan)
    given = values.dropna()
    names = sorted(set(given), key=lambda v: (isinstance(v, str), v)) if classes else sorted({str(v) for v in given})
    if not names:
        raise DataError(f"{file}: column '{column}' is empty", hint="leave it out of `targets`")
    if len(names) > 1000:
        raise DataError(
            f"{file}: column '{column}' has {len(names)} different texts",
            expected="class names or numbers",
            found=repr(names[0]),
            hint="name the label columns by `targets`",
        )
    code = {str(n): c for c, n in enumerate(names)}
    codes = np.array([-1 if missing else code[str(v)] for v, missing in zip(values, values.isna(), strict=True)], np.int64)
    return Target(slug(column), "classification", tuple(f"{n:g}" if isinstance(n, float) else str(n) for n in names)), codes
