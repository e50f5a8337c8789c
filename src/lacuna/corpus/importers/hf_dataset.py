"""A dataset of Hugging Face saved to disk: Arrow files with ``dataset_info.json``, one folder, or one folder a split.

``Dataset.save_to_disk`` writes ``dataset_info.json``, ``state.json`` and ``*.arrow``; ``DatasetDict.save_to_disk`` writes
``dataset_dict.json`` and one such folder for each split. Parquet files are read too. They are read through pyarrow: no loading
script is run, and the package ``datasets`` is not needed. Codes of a ``ClassLabel`` become its names. Columns are read as
:mod:`lacuna.corpus.importers.columns` describes; other columns (sounds, images) are named in the notes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.arrow import is_frames, read_table, schema_of, values_of
from lacuna.corpus.importers.base import Importer, Recognition, register
from lacuna.corpus.importers.columns import ColumnOptions, corpus_of, table_note
from lacuna.corpus.importers.samples import SPLIT_NAMES
from lacuna.errors import DataError

INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"


@register(
    "hf-dataset", reads="a Hugging Face dataset saved to disk: dataset_info.json with .arrow or .parquet, features in columns"
)
class HfDataset(Importer[ColumnOptions]):
    """See the module."""

    Options = ColumnOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the folder has the files of a saved dataset with a column of features."""
        parts = _parts(path)
        files = [f for folder in parts.values() for f in _data_files(folder)]
        columns = [field.name for field in schema_of(files[0]) if is_frames(field.type)] if files else []
        if not columns:
            return None
        splits = ", ".join(s for s in parts if s) or "none"
        return Recognition(f"a Hugging Face dataset on disk, splits {splits}, features: {', '.join(columns)}")

    def resembles(self, path: Path) -> bool:
        """Return whether the folder has the description of a saved dataset."""
        return bool(_parts(path))

    def load(self, path: Path, *, name: str, options: ColumnOptions) -> Corpus:
        """Read every split."""
        parts = _parts(path)
        columns: dict[str, list[Any]] = {}
        total, files = 0, []
        for split, folder in parts.items():
            own, names = _data_files(folder), _class_names(folder)
            if not own:
                raise DataError("the dataset has no data files", corpus=name, expected="*.arrow or *.parquet", found=folder.name)
            for file in own:
                part = {c: _named(name, c, v, names.get(c)) for c, v in values_of(read_table(file)).items()}
                count = len(next(iter(part.values()), []))
                part |= {"split": [split] * count} if split and "split" not in part else {}
                if columns and set(part) != set(columns):
                    raise DataError(
                        "parts of the dataset have different columns",
                        corpus=name,
                        expected=", ".join(sorted(columns)),
                        found=f"{', '.join(sorted(part))} in {file.name}",
                    )
                for column, values in part.items():
                    columns.setdefault(column, []).extend(values)
                total += count
            files += own
        notes = [table_note(total, [s for s in parts if s])]
        return corpus_of(self.name, path, files, columns, options, name=name, notes=notes)


def _parts(path: Path) -> dict[str, Path]:
    """Return the folder of each split; the split of a dataset without splits is ``""``. Empty if it is no saved dataset."""
    if (path / SPLITS).is_file():
        names = json.loads((path / SPLITS).read_text("utf-8")).get("splits", [])
        return {SPLIT_NAMES.get(str(s).lower(), str(s)): path / str(s) for s in names if (path / str(s)).is_dir()}
    return {"": path} if (path / INFO).is_file() else {}


def _data_files(folder: Path) -> list[Path]:
    """Return the data files in order: those that ``state.json`` names, or all of the folder."""
    if (folder / STATE).is_file():
        listed = json.loads((folder / STATE).read_text("utf-8")).get("_data_files", [])
        files = [folder / Path(entry["filename"]).name for entry in listed]  # never outside of the folder
        if files and all(f.is_file() for f in files):
            return files
    return sorted(f for f in folder.iterdir() if f.suffix in (".arrow", ".parquet"))


def _class_names(folder: Path) -> dict[str, list[str]]:
    """Return the names of the codes of each ``ClassLabel`` column."""
    if not (folder / INFO).is_file():
        return {}
    features = json.loads((folder / INFO).read_text("utf-8")).get("features") or {}
    return {c: f["names"] for c, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}


def _named(corpus: str, column: str, values: list[Any], names: list[str] | None) -> list[Any]:
    """Return the names of class codes; -1 and ``None`` are unlabelled. Other columns are unchanged."""
    if names is None:
        return values
    if (wrong := next((v for v in values if v is not None and not -1 <= v < len(names)), None)) is not None:
        expected = f"a code from 0 to {len(names) - 1}, or -1"
        raise DataError(f"column '{column}' holds a code without a name", corpus=corpus, expected=expected, found=wrong)
    return [None if v is None or v < 0 else names[v] for v in values]
