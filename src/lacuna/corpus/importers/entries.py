"""Read pickles that are a sequence of dictionaries by dialogue; the content, not the position, decides what an entry is.

conv-emotion, MMGCN, COSMIC and GCNet store a corpus as ``(ids, speakers, labels, ...)``: dictionaries from dialogue to a
sequence with one item an utterance, and sets of dialogues. They differ in how many entries there are and in which order.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.importers.outlines import PICKLES
from lacuna.corpus.importers.sources import describe, folder_files, natural_key
from lacuna.corpus.pickles import read_pickle
from lacuna.errors import DataError, LacunaError

Kind = Literal["strings", "numbers", "onehot", "vectors"]
_LOOK = 4 << 30  # bytes of the largest pickle that recognition reads
_OPEN = ("MARK", "EMPTY_LIST", "LIST")  # opcodes that start a list or a tuple
_INSIDE = (*_OPEN, "EMPTY_DICT", "DICT", "EMPTY_TUPLE", "NONE", "GLOBAL")  # and what may follow
_OTHER = "items of another kind"
_SILENT = ("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT")


@dataclass(frozen=True)
class Entry:
    """One dictionary by dialogue, flattened to utterances.

    Attributes:
        position: index in the pickle.
        kind: ``strings``, ``numbers``, ``onehot`` (vectors of 0 with at most one 1) or ``vectors`` ((d,) or (T, d)).
        rows: N items, one an utterance in the order of :class:`Entries`; ``None`` = nothing for this utterance.
    """

    position: int
    kind: Kind
    rows: list[Any]

    @property
    def width(self) -> int:
        """Return the width of the vectors; 0 for other kinds."""
        return next((int(r.shape[-1]) for r in self.rows if isinstance(r, np.ndarray)), 0)

    def codes(self) -> NDArray[np.int64] | None:
        """Return (N,) int64 codes if every number is an integer, else ``None``."""
        values = np.asarray(self.rows, np.float64)
        whole = np.isfinite(values).all() and (values == np.floor(values)).all()
        return values.astype(np.int64) if whole else None

    def ascends(self, starts: NDArray[np.bool_]) -> bool:
        """Return whether the numbers grow strictly inside every dialogue, as ids do and labels do not."""
        values = np.asarray(self.rows, np.float64)
        return bool((~starts).any() and ((np.diff(values) > 0) | starts[1:]).all())


@dataclass(frozen=True)
class Entries:
    """Content of a pickle, flattened to N utterances dialogue by dialogue.

    Attributes:
        entries: the dictionaries that are not empty.
        groups: by position, the names of the dialogues in each set.
        dialogues: N dialogue names.
        turns: (N,) int64 position in the dialogue, from 0.
        notes: what was left out and why.
    """

    entries: list[Entry]
    groups: dict[int, list[str]]
    dialogues: list[str]
    turns: NDArray[np.int64]
    notes: list[str]

    @property
    def starts(self) -> NDArray[np.bool_]:
        """Return (N,) bool: whether the utterance is the first of its dialogue."""
        return np.asarray(self.turns == 0)

    def of(self, *kinds: Kind) -> list[Entry]:
        """Return the entries of these kinds, in order."""
        return [e for e in self.entries if e.kind in kinds]

    def splits(self, corpus: str, names: Sequence[str]) -> list[str | None]:
        """Return the split of each utterance: the sets in order are ``names``; ``None`` where no set names the dialogue.

        Raises:
            DataError: there are more sets than names, or two of them share a dialogue.
        """
        if len(self.groups) > len(names):
            raise DataError(
                "there are more sets of dialogues than splits", corpus=corpus, expected=", ".join(names), found=len(self.groups)
            )
        split: dict[str, str] = {}
        for (position, group), name in zip(self.groups.items(), names, strict=False):
            if shared := sorted(set(group) & set(split)):
                raise DataError(
                    f"{len(shared)} dialogue(s) are shared between splits",
                    corpus=corpus,
                    expected="every dialogue in one split, or the test is not unseen",
                    found=f"dialogue '{shared[0]}' in {split[shared[0]]} and in entry {position} ({name})",
                )
            split.update(dict.fromkeys(group, name))
        return [split.get(d) for d in self.dialogues]


def looks_like_entries(path: Path) -> bool:
    """Return whether a file starts like a list or tuple of containers; reads a few bytes and executes nothing."""
    if path.suffix.lower() not in PICKLES or not path.is_file() or path.stat().st_size > _LOOK:
        return False
    try:
        with path.open("rb") as handle:
            names = [code.name for code, _, _ in islice(pickletools.genops(handle), 12)]
    except Exception:  # a file that breaks the opcode reader is not such a pickle
        return False
    opening = [n for n in names if n not in _SILENT][:2]
    return len(opening) == 2 and opening[0] in _OPEN and opening[1] in _INSIDE


def look(path: Path) -> Entries | None:
    """Return :func:`read_entries` of a file, or ``None`` if it is not such a pickle."""
    try:
        return read_entries(path) if looks_like_entries(path) else None
    except (LacunaError, OSError):
        return None


def choose_pickle(path: Path, wanted: str) -> Path:
    """Return the pickle to read: ``path`` itself, the one called ``wanted``, or the only matching one in the folder ``path``.

    Raises:
        DataError: none or several match.
    """
    if path.is_file():
        return path
    files = folder_files(path)
    fitting = [f for n, f in files.items() if n == wanted or (not wanted and looks_like_entries(f))]
    if len(fitting) != 1:
        raise DataError(
            "it is unclear which pickle to read",
            corpus=path.name,
            expected=f"'{wanted}'" if wanted else "one pickle with a sequence of dictionaries by dialogue",
            found=", ".join(f.name for f in fitting) or "none",
            hint="give the file name with option `pickle`",
        )
    return fitting[0]


def read_entries(path: Path, ignore: Iterable[int] = ()) -> Entries:
    """Return the content of such a pickle after checking that its entries agree with each other.

    Args:
        path: the pickle.
        ignore: positions of entries to leave out.

    Raises:
        DataError: other content, an entry of unknown kind, or entries that disagree about a dialogue; the message names
            the entry and the dialogue.
        UnsafePickleError: the pickle asks for more than containers and arrays.
    """
    content = read_pickle(path)
    name = path.name
    if not isinstance(content, list | tuple) or not any(isinstance(e, dict) and e for e in content):
        raise DataError(
            "not a sequence of dictionaries by dialogue",
            corpus=name,
            expected="a list or tuple of dictionaries by dialogue",
            found=describe(content),
        )
    left_out = set(ignore)
    notes = [f"entry {p} was left out by option `ignore`" for p in sorted(left_out & set(range(len(content))))]
    kept = [(p, e) for p, e in enumerate(content) if p not in left_out]
    by_dialogue = {p: e for p, e in kept if isinstance(e, dict) and e}
    sets = {p: _names(name, p, e) for p, e in kept if isinstance(e, list | tuple | set | frozenset | np.ndarray)}
    for position, entry in kept:
        if position not in by_dialogue and position not in sets:
            if entry is not None and not isinstance(entry, dict):
                raise _unknown(name, position, type(entry).__name__)
            notes.append(f"entry {position} is empty")
    lengths = _lengths(name, by_dialogue, {d for g in sets.values() for d in g}, notes)
    dialogues = [str(d) for d, n in lengths.items() for _ in range(n)]
    turns = np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in lengths.values())])
    entries = []
    for position, entry in by_dialogue.items():
        rows = [_item(row) for dialogue in lengths for row in entry[dialogue]]
        entries.append(_entry(name, position, rows, dialogues))
    return Entries(entries, {p: [str(d) for d in g] for p, g in sets.items()}, dialogues, turns, notes)


def _names(corpus: str, position: int, group: Any) -> list[Any]:
    names = [d.item() if isinstance(d, np.generic) else d for d in group]
    if not all(isinstance(d, str | int) for d in names):
        raise _unknown(corpus, position, f"a {type(group).__name__} of {type(names[0]).__name__}")
    return names


def _unknown(corpus: str, position: int, found: str) -> DataError:
    return DataError(
        f"entry {position} is of an unknown kind",
        corpus=corpus,
        expected="a dictionary from dialogue to one item an utterance, or a set of dialogues",
        found=found,
        hint=f"leave it out with ignore: [{position}]",
    )


def _lengths(corpus: str, entries: dict[int, dict[Any, Any]], grouped: set[Any], notes: list[str]) -> dict[Any, int]:
    """Return the number of utterances by dialogue (natural order), which must be the same in every entry."""
    everywhere = {d: 0 for d in sorted(next(iter(entries.values())), key=natural_key) if all(d in e for e in entries.values())}
    for position, entry in entries.items():
        if lacking := sorted((grouped - set(entry)), key=str):
            raise DataError(
                f"entry {position} lacks {len(lacking)} dialogue(s) that a split names",
                corpus=corpus,
                expected=f"dialogue {lacking[0]!r}",
                found=f"{len(entry)} dialogues, the first {next(iter(entry))!r}",
            )
    partial = {d for e in entries.values() for d in e} - set(everywhere)
    if partial:
        notes.append(f"{len(partial)} dialogue(s) are not in every entry and in no split: left out")
    for dialogue in everywhere:
        sizes = {p: _size(corpus, p, dialogue, e[dialogue]) for p, e in entries.items()}
        first = next(iter(sizes))
        if odd := next((p for p, n in sizes.items() if n != sizes[first]), None):
            raise DataError(
                f"the entries disagree about dialogue '{dialogue}'",
                corpus=corpus,
                expected=f"{sizes[first]} utterances, as in entry {first}",
                found=f"{sizes[odd]} in entry {odd}",
            )
        everywhere[dialogue] = sizes[first]
    if not any(everywhere.values()):
        raise DataError("no utterance is in every entry", corpus=corpus, expected="the same dialogues in each", found="none")
    return everywhere


def _size(corpus: str, position: int, dialogue: Any, value: Any) -> int:
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return len(value)
    raise _unknown(corpus, position, f"{type(value).__name__} in dialogue '{dialogue}'")


def _item(row: Any) -> Any:
    """Return the item of one utterance as a string, a number, an array of numbers, ``None``, or unchanged."""
    if isinstance(row, np.generic):
        return row.item()
    if isinstance(row, list | tuple) and row and not isinstance(row[0], str):
        try:
            row = np.asarray(row)
        except ValueError:  # ragged
            return row
    if isinstance(row, np.ndarray) and (not row.size or not row.ndim):  # an empty vector = no features
        return row.reshape(-1)[0].item() if row.size else None
    return row


def _entry(corpus: str, position: int, rows: list[Any], dialogues: list[str]) -> Entry:
    first_row: dict[str, int] = {}  # by kind
    for number, row in enumerate(rows):
        first_row.setdefault(_kind(row), number)
    kinds = set(first_row) - {"nothing"}
    if len(kinds) != 1 or _OTHER in kinds or (kinds == {"numbers"} and "nothing" in first_row):
        number = max(first_row.values())
        raise DataError(
            f"entry {position} holds {' and '.join(sorted(first_row)) or 'nothing'} (first in dialogue '{dialogues[number]}')",
            corpus=corpus,
            expected="strings, numbers, or vectors of numbers, one kind in the whole entry",
            found=describe(rows[number]),
            hint=f"leave it out with ignore: [{position}]",
        )
    kind: Any = kinds.pop()
    return Entry(position, "onehot" if kind == "vectors" and _onehot(rows) else kind, rows)


def _kind(row: Any) -> str:
    if row is None:
        return "nothing"
    if isinstance(row, str):
        return "strings"
    if isinstance(row, int | float):
        return "numbers"
    numeric = isinstance(row, np.ndarray) and row.dtype.kind in "fiub" and row.ndim in (1, 2) and row.shape[-1] > 0
    return "vectors" if numeric else _OTHER


def _onehot(rows: list[Any]) -> bool:
    vectors = [r for r in rows if r is not None]
    if len({v.shape for v in vectors}) != 1 or vectors[0].ndim != 1 or len(vectors[0]) < 2:
        return False
    if any(((v != 0) & (v != 1)).any() for v in vectors[:100]):  # a quick exit for real features
        return False
    table = np.stack(vectors)
    return bool(((table == 0) | (table == 1)).all() and (table.sum(axis=1) <= 1).all() and table.any())
