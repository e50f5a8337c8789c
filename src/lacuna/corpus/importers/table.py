"""Your own corpus: a folder with one utterance table and one feature file for each modality.

``utterances.csv`` or ``.tsv`` (with a header, UTF-8, separated by commas, semicolons or tabs) or ``utterances.parquet``::

    id        one name an utterance, unique                                     (needed)
    dialogue  which conversation or video it belongs to                         (default: the id, every utterance alone)
    turn      position in the dialogue, a whole number                          (default: order of the rows)
    speaker   who speaks                                                        (default: unknown)
    split     train, valid, test, or empty                                      (default: no splits; make them by folds)
    text      what was said                                                     (optional)
    ...       any other column is a label: text = classes, numbers = a score, empty = unlabelled

Where this guess is wrong, set it: ``targets=("emotion", "score")`` picks columns and their order, and
``classes=("stars",)`` reads numbers as classes. ``soft=("anger", "joy")`` reads several columns of shares or vote counts as one
distribution (target ``votes``); a row of empty cells is unlabelled. Columns ``votes:anger``, ``votes:joy`` are such a
distribution by their names.

One file a modality, named after it (``audio.npy``, ``text.safetensors``, ...):

* ``.npy``: (N, d) one vector an utterance, or (N, T, d) sequences, rows in the order of the table. A row that is NaN
  throughout is absent (a frame of a sequence: behind the others it is padding, between them it was not observed). Other
  NaN and inf fall under ``nonfinite``.
* ``.npz``: either arrays keyed by utterance id, (d,) or (T, d) each, where a missing key is an absent modality; or
  ``frames`` (sum T, d) and ``lengths`` (N,) in the order of the table, where length 0 is absent.
* ``.safetensors``: tensors keyed by utterance id, as above.
* a folder ``<modality>/`` of ``<id>.npy``, (d,) or (T, d) each; an utterance without a file lacks the modality.

A column whose cells hold several labels, ``happy|surprised``, is named by ``multi``: it becomes a target of shares and one target
(no, yes) for each label. ``multi`` also takes several columns of 0 and 1.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.atomic import sha256
from lacuna.corpus.assemble import assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.arrays import read_channel
from lacuna.corpus.importers.base import Importer, Options, Recognition, register, slug
from lacuna.corpus.importers.labels import Labelled, binary_targets, multi_label_targets
from lacuna.corpus.importers.sheets import STANDARD, header_of, ids_of, read_sheet, strings
from lacuna.corpus.importers.sources import Zeros, first_line, folder_files, many, provenance
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Provenance, Target
from lacuna.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("utterances.csv", "utterances.tsv", "utterances.parquet")
_FEATURES = (".npy", ".npz", ".safetensors")
_BETWEEN = re.compile(r"[|;,]")  # between the labels of a cell


@dataclass(frozen=True)
class TableOptions(Options):
    """Options of ``table``.

    Attributes:
        targets: label columns to read, the first one being the default target; ``None`` = every column that is not standard.
        classes: label columns of numbers that are classes and not a score.
        soft: columns of shares or vote counts that make one target ``votes``.
        multi: columns with several labels an utterance: one column of words separated by ``|``, ``;`` or ``,``, or at least two
            columns of 0 and 1, which become the target ``labels`` of shares; and one target (no, yes) for each label.
        modalities: which feature files to read; ``None`` = all.
        zeros: recordings of nothing but zeros: ``keep`` them, or read them as ``absent``.
        nonfinite: what to do with NaN and inf that do not say that a modality is absent.
    """

    targets: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    multi: tuple[str, ...] = ()
    modalities: tuple[str, ...] | None = None
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


@register(
    "table", reads="your own corpus: a folder with utterances.csv (or .parquet) and one .npy, .npz or .safetensors a modality"
)
class TableImporter(Importer[TableOptions]):
    """See the module."""

    Options = TableOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the table and at least one feature file exist."""
        files = table_files(path)
        features = sorted({f.stem for f in files.values() if f.suffix in _FEATURES} | set(_folders(path)))
        table = next((files[t] for t in TABLES if t in files), None)
        if (
            table is None
            or not features
            or (table.suffix.lower() != ".parquet" and "id" not in [c.lower() for c in header_of(first_line(table))[1]])
        ):
            return None
        return Recognition(f"a table of utterances ({table.name}) with features: {', '.join(features)}")

    def resembles(self, path: Path) -> bool:
        """Return whether a table of that name exists."""
        return any(name in table_files(path) for name in TABLES)

    def load(self, path: Path, *, name: str, options: TableOptions) -> Corpus:
        """Read the table, then the features."""
        files = table_files(path)
        table_file = next((files[t] for t in TABLES if t in files), None)
        if table_file is None:
            raise DataError(
                "no table of utterances",
                corpus=name,
                expected=" or ".join(TABLES),
                found=", ".join(files) or "nothing",
                hint="add a table with a row for each utterance: docs/how-to/your_corpus.md",
            )
        table, read = read_sheet(table_file)
        names = ids_of(table_file.name, table)
        features = _features(name, files | _folders(path), options.modalities)
        targets, labels, notes = read_targets(table_file.name, table, options)
        if left := sorted(f.name for f in files.values() if f != table_file and f not in features.values()):
            notes.append(f"files not read: {', '.join(left[:10])}{' ...' if len(left) > 10 else ''}")
        dialogues = strings(table, "dialogue")
        splits = strings(table, "split")
        return assemble(
            name,
            ids=names,
            dialogues=names if dialogues is None else [i if d is None else d for d, i in zip(dialogues, names, strict=True)],
            turns=table["turn"].tolist() if "turn" in table else list(range(len(names))),
            channels={m: read_channel(m, file, names, options.zeros) for m, file in features.items()},
            targets=targets,
            labels=dict(labels),
            splits=None if splits is None else [standard_split(s) for s in splits],
            speakers=None if "speaker" not in table else [s or "unknown" for s in strings(table, "speaker") or []],
            texts=strings(table, "text"),
            provenance=_provenance(self.name, path, [table_file, *features.values()], [*read, *notes]),
            nonfinite=options.nonfinite,
        )


def table_files(path: Path) -> dict[str, Path]:
    """Return the files of a folder by name; the table under its standard name, whatever its capitals."""
    return {name.lower() if name.lower() in TABLES else name: file for name, file in folder_files(path).items()}


def standard_split(value: str | None) -> str | None:
    """Return the standard name of a split; an unknown name is returned unchanged and refused later."""
    if value is None:
        return None
    plain = value.strip().lower()
    return {"val": "valid", "dev": "valid", "validation": "valid"}.get(plain, plain if plain in SPLITS else value)


def _folders(path: Path) -> dict[str, Path]:
    """Return the folders of ``.npy`` files by name."""
    try:
        folders = [f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith(".")] if path.is_dir() else []
    except OSError:
        folders = []
    return {f.name: f for f in folders if next(f.glob("*.npy"), None) is not None}


def _provenance(importer: str, path: Path, sources: list[Path], notes: list[str]) -> Provenance:
    """Return the provenance; a folder has one hash over the names and hashes of its files."""
    result = provenance(importer, path, [s for s in sources if s.is_file()], notes=notes)
    hashes = {}
    for folder in [s for s in sources if s.is_dir()]:
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.npy")):
            digest.update(f"{file.name} {sha256(file)}\n".encode())
        hashes[f"{folder.name}/"] = digest.hexdigest()
    return replace(result, files={**result.files, **hashes})


def _features(name: str, files: dict[str, Path], chosen: tuple[str, ...] | None) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files.values():
        if (file.suffix in _FEATURES or file.is_dir()) and (chosen is None or file.stem in chosen):
            if file.stem in found:
                raise DataError(
                    "two files for one modality",
                    corpus=name,
                    modality=file.stem,
                    found=f"{found[file.stem].name}, {file.name}",
                    hint="delete or rename one of them",
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
            expected="at least one .npy, .npz or .safetensors next to the table",
            found=", ".join(files),
            hint="write one file for each modality, e.g. text.npy of shape (utterances, width), rows as in the table",
        )
    return dict(sorted(found.items()))


def _refuse_misspelt(file: str, table: pd.DataFrame, columns: list[str]) -> None:
    """Refuse a label column whose name is nearly that of a standard column which the table lacks, or that holds the splits."""
    absent = [name for name in STANDARD if name not in table]
    for column in columns:
        if "split" in absent and _holds_splits(table[column]):
            raise DataError(
                f"{file} has no column 'split', and column {column!r} holds names of splits",
                expected=", ".join(STANDARD),
                found=", ".join(sorted({str(cell) for cell in table[column].dropna()})),
                hint=f"rename {column!r} to 'split'; or, if it is a label, name all label columns with option `targets`",
            )
        if near := difflib.get_close_matches(column.lower(), absent, n=1, cutoff=0.8):
            raise DataError(
                f"{file} has a column {column!r} and no column {near[0]!r}",
                expected=", ".join(STANDARD),
                found=", ".join(map(str, table.columns)),
                hint=f"rename {column!r} to {near[0]!r}; or, if it is a label, name all label columns with option `targets`",
            )


def _holds_splits(column: pd.Series[Any]) -> bool:
    """Return whether all cells are names of splits, at least two different ones."""
    names = {standard_split(str(cell)) for cell in column.dropna().unique()[: 2 * len(SPLITS) + 1]}
    return len(names) > 1 and names <= set(SPLITS)


def read_targets(file: str, table: pd.DataFrame, options: TableOptions) -> tuple[list[Target], dict[str, Any], list[str]]:
    """Return the targets of a table, their labels by target name, and notes.

    Args:
        file: name of the table, for messages.
        table: every column that is not standard may be a label.
        options: which columns are labels, and how they are read.
    """
    named = [*(options.targets or ()), *options.classes, *options.soft, *options.multi]
    shares = _share_columns(table)
    if unknown := [c for c in named if c not in table and c not in shares]:
        raise ConfigError(f"{file} has no column {unknown[0]!r}; it has: {', '.join(map(str, table.columns))}")
    taken = {*STANDARD, *options.soft, *options.multi}
    free = [c for c in table.columns if c not in taken and c.partition(":")[0] not in shares]
    if options.targets is None:
        _refuse_misspelt(file, table, [c for c in free if c not in options.classes])
    chosen = list(options.targets) if options.targets is not None else [*free, *shares]
    targets: list[Target] = []
    labels: dict[str, Any] = {}
    for column in chosen:
        if column in shares:
            target, values = _shares(file, table[shares[column]], column)
        else:
            target, values = _target(file, table[column], column, column in options.classes)
        targets.append(target)
        labels[target.name] = values
    if options.soft:
        votes = table[list(options.soft)].to_numpy(np.float64)
        total = votes.sum(axis=1, keepdims=True)
        if (row := next(iter(np.flatnonzero((votes < 0).any(axis=1) | (total[:, 0] == 0))), None)) is not None:
            raise DataError(
                f"{file}: line {row + 2} has no shares",
                expected="shares or counts, some above 0",
                found=votes[row],
                hint="write the number of raters for each class, or leave all cells of the row empty",
            )
        targets.append(Target("votes", "soft", options.soft))
        labels["votes"] = votes / total
    for target, values in _multi(file, table, options.multi):
        targets.append(target)
        labels[target.name] = values
    left = [c for c in free if c not in chosen]
    descriptions = [f"{t.name}: {t.task}" + (f" of {many(len(t.classes), 'class')}" if t.classes else "") for t in targets]
    return (
        targets,
        labels,
        [f"targets read: {'; '.join(descriptions) or 'none'}", *([f"columns not read: {', '.join(left)}"] if left else [])],
    )


def _share_columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns ``<target>:<class>`` by target."""
    found: dict[str, list[str]] = {}
    for column in table.columns:
        name, colon, word = str(column).partition(":")
        if colon and name and word:
            found.setdefault(name, []).append(column)
    return found


def _shares(file: str, columns: pd.DataFrame, name: str) -> tuple[Target, NDArray[Any]]:
    """Return a target of shares and (N, C) shares that sum to one; a row of empty cells or zeros is unlabelled."""
    try:
        values = columns.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"{file}: the columns '{name}:...' are not numbers", expected="shares or counts") from None
    if (row := next(iter(np.flatnonzero((values < 0).any(axis=1))), None)) is not None:
        raise DataError(f"{file}: line {row + 2} has no shares", expected="shares or counts, none below 0", found=values[row])
    total = np.nansum(values, axis=1, keepdims=True)
    classes = tuple(str(column).partition(":")[2] for column in columns)
    return Target(slug(name), "soft", classes), np.where(total > 0, np.nan_to_num(values) / np.where(total > 0, total, 1), np.nan)


def _multi(file: str, table: pd.DataFrame, columns: tuple[str, ...]) -> list[Labelled]:
    """Return the targets of several labels an utterance, see :func:`lacuna.corpus.importers.labels.multi_label_targets`."""
    if len(columns) == 1:
        cells = [None if missing else str(v) for v, missing in zip(table[columns[0]], table[columns[0]].isna(), strict=True)]
        rows = [None if c is None else [w.strip().lower() for w in _BETWEEN.split(c) if w.strip()] for c in cells]
        return multi_label_targets(slug(columns[0]), rows)
    if not columns:
        return []
    flags = table[list(columns)].to_numpy(np.float64)
    if (row := next(iter(np.flatnonzero(~(np.isnan(flags) | np.isin(flags, (0, 1))).all(axis=1))), None)) is not None:
        hint = "read counts and shares with option `soft`"
        raise DataError(
            f"{file}: line {row + 2} is not yes or no", expected="0, 1 or empty", found=flags[row].tolist(), hint=hint
        )
    return binary_targets("labels", columns, flags)


def _target(file: str, values: pd.Series[Any], column: str, classes: bool) -> tuple[Target, NDArray[Any]]:
    import pandas as pd

    if not classes and pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return Target(slug(column), "regression"), values.to_numpy(np.float64, na_value=np.nan)
    filled = values.dropna()
    names = sorted(set(filled), key=lambda v: (isinstance(v, str), v)) if classes else sorted({str(v) for v in filled})
    if not names:
        raise DataError(f"{file}: column '{column}' is empty", hint="choose the label columns with option `targets`")
    if len(names) > 1000:
        raise DataError(
            f"{file}: column '{column}' has {len(names)} different texts",
            expected="class names or numbers",
            found=repr(names[0]),
            hint="choose the label columns with option `targets`",
        )
    code = {str(n): c for c, n in enumerate(names)}
    codes = np.array([-1 if missing else code[str(v)] for v, missing in zip(values, values.isna(), strict=True)], np.int64)
    return Target(slug(column), "classification", tuple(f"{n:g}" if isinstance(n, float) else str(n) for n in names)), codes
