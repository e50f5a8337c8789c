"""Helpers of adapters: find label files and recordings, read tables and JSON, count votes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lacuna.corpus.identity import identify
from lacuna.errors import DataError

_FOLDERS = 20_000  # look into at most this many folders, so that any path gets an answer soon
_DEPTH = 4  # folders below the corpus folder that may hold label files
_SUFFIXES = {".csv", ".tsv", ".txt", ".json", ".pkl", ".parquet", ".annotprocessed"}
_NO_DATA = ("version https://git-lfs", "<!doctype html", "<html", "<head", "<body")
VIDEO = (".mp4", ".mkv", ".avi", ".mov", ".flv", ".webm")
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".m4a")


def label_files(folder: Path) -> list[str]:
    """Return paths of files that may be label files, relative to the folder, sorted; hidden files are left out."""
    found: list[str] = []
    for visited, (place, folders, names) in enumerate(os.walk(folder)):
        if visited == _FOLDERS:
            break
        relative = Path(place).relative_to(folder)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if len(relative.parts) < _DEPTH else []
        found += [(relative / name).as_posix() for name in names if Path(name).suffix in _SUFFIXES and not name.startswith(".")]
    return sorted(found)


def matching(files: Iterable[str], pattern: str) -> list[str]:
    """Return the paths that a pattern matches, folder by folder; alternatives are separated by ``|``.

    >>> matching(["labels/a.csv", "b.csv", "labels/c.txt"], "*.csv|labels/*.csv")
    ['labels/a.csv', 'b.csv']
    """
    forms = [form.split("/") for form in pattern.split("|")]
    return [path for path in files if any(_fits(path.split("/"), form) for form in forms)]


def _fits(parts: list[str], form: list[str]) -> bool:
    return len(parts) == len(form) and all(fnmatchcase(part, one) for part, one in zip(parts, form, strict=True))


def unwrapped(folder: Path) -> list[Path]:
    """Return the folder, and the ones inside it where a folder is all that it holds, as archives often unpack."""
    found = [folder]
    for _ in range(2):
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir():
            break
        folder = inside[0]
        found.append(folder)
    return found


def find(folder: Path, pattern: str) -> list[Path]:
    """Return the label files that match a pattern."""
    return [folder / name for name in matching(label_files(folder), pattern)]


def read_text(file: Path) -> str:
    """Return the text of a file, with line feeds between lines.

    Raises:
        DataError: it is not UTF-8, or no data (a Git LFS pointer, a web page, an archive).
    """
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        identity = identify(file)
        if identity.action:
            raise DataError(f"{file.name} is {identity.kind}", hint=identity.action) from None
        raise DataError(
            f"{file.name} is not UTF-8",
            found=f"byte 0x{error.object[error.start]:02x} at {error.start}",
            hint="convert it to UTF-8 from its encoding (often cp1252 or gb18030)",
        ) from None
    if text[:100].lstrip().lower().startswith(_NO_DATA) and (identity := identify(file)).action:
        raise DataError(f"{file.name} is {identity.kind}", hint=identity.action)
    return text


def read_rows(file: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV with a header, by column name, without spaces around values.

    Args:
        file: separated by commas, semicolons or tabs.
        columns: that must exist.

    Raises:
        DataError: a column does not exist, or a row has another number of fields than the header.
    """
    text = read_text(file).lstrip("\n")
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = [name.strip() for name in next(reader, [])]
    if lacking := [column for column in columns if column not in names]:
        raise DataError(
            f"{file.name} has no column '{lacking[0]}'", expected=", ".join(columns), found=", ".join(names)[:200] or "nothing"
        )
    rows = []
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(names):
            raise DataError(
                f"{file.name}: line {reader.line_num} is malformed", expected=f"{len(names)} fields", found=f"{len(cells)} fields"
            )
        rows.append({name: cell.strip() for name, cell in zip(names, cells, strict=True)})
    return rows


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: it is no JSON.
    """
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file.name} is no JSON", found=f"{error.msg} in line {error.lineno}") from None


def number(file: Path, value: str, where: str) -> float | None:
    """Return a cell as a number; ``None`` if it is empty.

    Raises:
        DataError: the cell is no number.
    """
    if value == "":
        return None
    try:
        return float(value)
    except ValueError:
        raise DataError(f"{file.name}: '{value[:40]}' is no number", utterance=where) from None


def whole(file: Path, value: str, where: str) -> int:
    """Return a cell as a whole number.

    Raises:
        DataError: the cell is none.
    """
    found = number(file, value, where)
    if found is None or found != int(found):
        raise DataError(f"{file.name}: '{value[:40]}' is no whole number", utterance=where)
    return int(found)


def votes(words: Iterable[str], classes: Sequence[str], other: str | None = None) -> dict[str, float]:
    """Return how often each class was chosen.

    Args:
        words: what raters chose.
        classes: known class names.
        other: class of words that name no class; ``None`` = they are counted under their own name, and refused later.

    >>> votes(["anger", "anger", "sleepy"], ("anger", "joy", "other"), "other")
    {'anger': 2.0, 'other': 1.0}
    """
    counts = Counter(word if word in classes or other is None else other for word in words if word)
    return {word: float(count) for word, count in sorted(counts.items())}


class Media:
    """The recordings in a folder, by name.

    Args:
        folder: of the corpus; hidden files and folders are left out.
        suffixes: of recordings; of two recordings with one name, the one whose suffix stands first is used.
    """

    def __init__(self, folder: Path, suffixes: Sequence[str]) -> None:
        self.folder = folder
        self._suffixes = {suffix: rank for rank, suffix in enumerate(suffixes)}
        self._by_stem: dict[str, list[Path]] = {}
        for path in self._walk():
            for name in (path.stem, f"{path.parent.name}/{path.stem}"):
                self._by_stem.setdefault(name, []).append(path)

    def _walk(self) -> Iterator[Path]:
        for place, folders, names in os.walk(self.folder):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(names):
                if Path(name).suffix.lower() in self._suffixes and not name.startswith("."):
                    yield Path(place, name)

    def __bool__(self) -> bool:
        return bool(self._by_stem)

    def names(self) -> list[tuple[str, str]]:
        """Return the folder and the name of every recording."""
        return [(parent, stem) for name in self._by_stem for parent, found, stem in [name.partition("/")] if found]

    def find(self, stem: str, within: str = "") -> Path | None:
        """Return a recording.

        Args:
            stem: its file name without the suffix, or ``<folder>/<name>``.
            within: a text that the path of its folder, relative to the corpus, must contain (in any case).
        """
        candidates = [
            path
            for path in self._by_stem.get(stem, [])
            if within.lower() in f"/{path.parent.relative_to(self.folder).as_posix()}/".lower()
        ]
        return min(candidates, key=lambda path: self._suffixes[path.suffix.lower()], default=None)

    def path(self, stem: str, within: str = "") -> Path | None:
        """Return a recording; a path at which there is none if only this one is missing; ``None`` if there are none at all."""
        if not self._by_stem:
            return None
        return self.find(stem, within) or self.folder / f"{stem}{next(iter(self._suffixes))}"
