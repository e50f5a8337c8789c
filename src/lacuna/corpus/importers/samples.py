"""Columns of a pickle that holds a dictionary of splits, whatever their order, nesting and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.importers.sources import describe, many, natural_key
from lacuna.corpus.schema import SPLITS
from lacuna.errors import DataError

SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "validation": "valid", "test": "test"}
_CLIP = re.compile(r"(.+?)(?:\$_\$|/|_)(\d+)|(.+)\[(\d+)\]")


@dataclass(frozen=True)
class Samples:
    """The splits of a pickle, end to end.

    Attributes:
        name: of the corpus, for errors.
        splits: N split names.
        columns: by key, N values each, in the order of ``splits``.
        unread: by key, what the file holds beside the columns.
    """

    name: str
    splits: list[str]
    columns: Mapping[str, Sequence[Any]]
    unread: Mapping[str, str]

    @classmethod
    def of(cls, name: str, content: Any) -> Samples:
        """Return the columns of a dictionary of splits.

        Each split is a dictionary of columns, or a list of ``((words, vision, audio), label, segment)`` (MAG-BERT).

        Raises:
            DataError: there is no split, or only some splits have a column, or columns of a split differ in length.
        """
        items = content.items() if isinstance(content, dict) else ()
        named = {SPLIT_NAMES[_text(k).lower()]: v for k, v in items if _text(k).lower() in SPLIT_NAMES}
        parts = {s: _columns(named[s]) for s in SPLITS if isinstance(named.get(s), dict | list | tuple) and len(named[s])}
        if not parts:
            raise DataError(
                "not an MMSA pickle", corpus=name, expected="a dictionary of train, valid, test", found=describe(content)
            )
        unread = {_text(k): describe(v) for k, v in content.items() if _text(k).lower() not in SPLIT_NAMES}
        size = {split: _size(name, split, part) for split, part in parts.items()}
        columns: dict[str, Sequence[Any]] = {}
        for key in sorted({key for part in parts.values() for key in part}):
            values = {split: part[key] for split, part in parts.items() if part.get(key) is not None}
            if not all(_has_rows(v) for v in values.values()):
                unread[key] = describe(next(iter(values.values()), None))
                continue
            if len(values) < len(parts):
                raise DataError(f"only some splits have '{key}'", corpus=name, expected=", ".join(parts), found=", ".join(values))
            for split, column in values.items():
                if len(column) != size[split]:
                    what = f"'{key}' of split '{split}' does not match the ids"
                    raise DataError(what, corpus=name, expected=size[split], found=len(column))
            columns[key] = [value for column in values.values() for value in column]
        return cls(name, [split for split in parts for _ in range(size[split])], columns, unread)

    def first_of(self, keys: Sequence[str]) -> str | None:
        """Return the first of equivalent keys that the file has."""
        return next((key for key in keys if key in self.columns), None)

    def arrays(self, key: str, ndim: int) -> list[NDArray[Any]]:
        """Return one array of ``ndim`` axes of numbers for each sample.

        Raises:
            DataError: a sample has other axes or no numbers.
        """
        arrays = [np.asarray(value) for value in self.columns[key]]
        if ndim == 2 and all(array.ndim == 1 for array in arrays):
            arrays = [array[None] for array in arrays]  # (d,) -> (1, d): one vector an utterance
        for split, array in zip(self.splits, arrays, strict=True):
            if array.ndim != ndim or array.dtype.kind not in "fiub":
                what = f"'{key}' of split '{split}' is malformed"
                raise DataError(what, corpus=self.name, expected=f"numbers with {ndim + 1} axes", found=describe(array))
        return arrays

    def numbers(self, key: str) -> NDArray[np.float64] | None:
        """Return a column as (N, C) float64, axes of length 1 dropped; ``None`` if it is no table of numbers."""
        try:
            table = np.asarray([np.asarray(v, np.float64) for v in self.columns[key]], np.float64)
        except (TypeError, ValueError):
            return None
        table = table.reshape(len(table), *(n for n in table.shape[1:] if n != 1))  # (N, 1, 1) -> (N,)
        return table if table.ndim > 1 else table[:, None]


def identify_samples(samples: Samples) -> tuple[list[str], list[tuple[str, float] | None], str | None]:
    """Return ids, (video, place in the video) where ids tell it, and a note.

    Ids are ``<video>$_$<clip>``, ``<video>_<clip>``, ``<video>[<clip>]``, or rows ``[video, start, end]`` in any order; without
    ids, samples are numbered inside their split.
    """
    key = samples.first_of(("id", "ids", "segment", "segments", "video_id"))
    if key is None:
        count = dict.fromkeys(SPLITS, 0)
        ids = []
        for split in samples.splits:
            ids.append(f"{split}-{count[split]}")
            count[split] += 1
        return (
            ids,
            [None] * len(ids),
            "the file has no ids: samples are named <split>-<row>, and every utterance is its own dialogue",
        )
    rows = [[_text(part) for part in np.asarray(value, object).reshape(-1)] for value in samples.columns[key]]
    if any(len(row) == 3 for row in rows):
        return ["$_$".join(row[:2]) for row in rows], [_timed(samples.name, row) for row in rows], None
    ids = ["$_$".join(row) for row in rows]
    places: list[tuple[str, float] | None] = []
    for identity in ids:
        match = _CLIP.fullmatch(identity)
        places.append(None if match is None else (match[1] or match[3], float(match[2] or match[4])))
    return ids, places, None


def order_of(ids: Sequence[str], splits: Sequence[str], dialogues: Sequence[str]) -> list[int]:
    """Return the rows by split, dialogue and id in natural order, so that the order in the file does not matter."""
    return sorted(range(len(ids)), key=lambda r: (SPLITS.index(splits[r]), natural_key(dialogues[r]), natural_key(ids[r])))


def _timed(corpus: str, row: list[str]) -> tuple[str, float]:
    try:
        return row[0], float(row[1])
    except (IndexError, ValueError):
        raise DataError("an id is malformed", corpus=corpus, expected="[video, start, end]", found=f"{len(row)} parts") from None


def _text(part: Any) -> str:
    return part.decode("latin1") if isinstance(part, bytes) else str(part)


def _has_rows(column: Any) -> bool:
    return isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim > 0)


def _columns(part: Any) -> dict[str, Any]:
    """Return a split as columns; MAG-BERT keeps tuples of samples."""
    if isinstance(part, dict):
        return {_text(key): _tokens(value) if _text(key) == "text_bert" else value for key, value in part.items()}
    rows = list(part) if isinstance(part, list | tuple | np.ndarray) else []
    if rows and all(isinstance(r, list | tuple) and len(r) >= 2 and len(r[0]) == 3 for r in rows):
        columns = {"words": [r[0][0] for r in rows], "vision": [r[0][1] for r in rows], "audio": [r[0][2] for r in rows]}
        columns["labels"] = [r[1] for r in rows]
        return {**columns, "segment": [r[2] for r in rows]} if all(len(r) > 2 for r in rows) else columns
    return {}


def _tokens(column: Any) -> Any:
    """Return ``text_bert`` as (N, 3, T); some files keep (N, T, 3)."""
    if not isinstance(column, np.ndarray) or column.ndim != 3 or column.shape[1] == 3 or column.shape[2] != 3:
        return column
    return column.transpose(0, 2, 1)


def _size(name: str, split: str, part: Mapping[str, Any]) -> int:
    """Return the number of samples: that of the ids, or the most common length of a column."""
    if (ids := part.get("id")) is not None and _has_rows(ids):
        return len(ids)
    lengths = [len(v) for v in part.values() if _has_rows(v)]
    if not lengths:
        raise DataError(f"split '{split}' has no columns", corpus=name, expected="arrays or lists", found=describe(dict(part)))
    return max(set(lengths), key=lambda n: (lengths.count(n), n))


def dialogues_of(
    corpus: str, ids: list[str], splits: list[str], places: list[tuple[str, float] | None], dialogue: str
) -> tuple[list[str], list[int], str | None]:
    """Return dialogue and turn of every sample, and a note on what splits share."""
    hint = "import with option dialogue=utterance: every utterance is its own dialogue"
    videos = [p for p in places if p is not None]
    if not videos and dialogue == "auto":
        named = any(not i.startswith(tuple(SPLIT_NAMES)) for i in ids)
        return ids, [0] * len(ids), "ids name no video: every utterance is its own dialogue" if named else None
    if len(videos) < len(ids) and dialogue != "utterance":
        row = places.index(None)
        what, expected = "an id names no clip", "<video>$_$<clip number>"
        raise DataError(what, corpus=corpus, utterance=ids[row], expected=expected, hint=hint)
    split_of: dict[str, set[str]] = {}
    for place, split in zip(places, splits, strict=True):
        if place is not None:
            split_of.setdefault(place[0], set()).add(split)
    shared = [video for video, names in split_of.items() if len(names) > 1]
    if shared and dialogue == "video":
        row = next(r for r, p in enumerate(places) if p is not None and p[0] == shared[0] and splits[r] != splits[0])
        what = f"video '{shared[0]}' is shared between splits"
        found = ", ".join(sorted(split_of[shared[0]]))
        raise DataError(what, corpus=corpus, utterance=ids[row], expected="all of it in one split", found=found, hint=hint)
    if shared or dialogue == "utterance":
        tested = [names for names in split_of.values() if "test" in names]
        note = (
            f"{len(shared)} of {many(len(split_of), 'video')} are in several splits, {sum('train' in n for n in tested)} of the"
            f" {len(tested)} test videos in train too: the test is not of unseen videos, and every utterance is its own dialogue"
        )
        return ids, [0] * len(ids), note if shared else None
    rank = _ranks(videos)
    return [p[0] for p in videos], [rank[p] for p in videos], None


def _ranks(places: list[tuple[str, float]]) -> dict[tuple[str, float], int]:
    """Return the turn of each place: the clip number, or its rank in the video if clips are named by their time."""
    if all(place[1] == int(place[1]) for place in places) and max(Counter(places).values()) == 1:
        return {place: int(place[1]) for place in places}
    by_video: dict[str, list[float]] = {}
    for video, time in sorted(set(places)):
        by_video.setdefault(video, []).append(time)
    return {(video, time): number for video, times in by_video.items() for number, time in enumerate(times)}
