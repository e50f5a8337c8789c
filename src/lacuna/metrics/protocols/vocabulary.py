"""Words for emotions: tables of inflections, synonyms and emotion wheels that the user supplies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lacuna.errors import DataError
from lacuna.metrics.protocols.files import read_table
from lacuna.metrics.protocols.tables import words

LEVELS = ("level1", "level2")


@dataclass(frozen=True)
class Vocabulary:
    """How words map to groups.

    Attributes:
        stages: mappings from a word to the words it stands for, applied one after the other (inflection -> lemma -> synonym).
        wheels: by wheel and level, the group of each word; empty = every word is its own group.
    """

    stages: tuple[Mapping[str, frozenset[str]], ...] = ()
    wheels: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def canonical(self, word: str) -> list[str]:
        """Return the word and all words that it stands for, sorted.

        Example:
            >>> Vocabulary(({"mad": frozenset({"angry"})},)).canonical("mad")
            ['angry', 'mad']
        """
        reached = {word}
        for stage in self.stages:
            reached |= {other for known in reached for other in stage.get(known, ())}
        return sorted(reached)

    def group(self, word: str, wheel: tuple[str, str]) -> str:
        """Return the group of the first word of :meth:`canonical` that is on the wheel; ``""`` = unknown word."""
        groups = self.wheels[wheel]
        return next((groups[known] for known in self.canonical(word) if known in groups), "")

    def plain(self, word: str) -> str:
        """Return the first synonym of a word in alphabetical order, or the word itself if it has none."""
        others = [known for known in self.canonical(word) if known != word]
        return others[0] if others else word

    def sets(self, labels: frozenset[str], wheel: tuple[str, str] | None) -> frozenset[str]:
        """Return the groups of some words; unknown words are dropped. Without a wheel no word is unknown."""
        mapped = {self.plain(word) if wheel is None else self.group(word, wheel) for word in labels}
        return frozenset(mapped - {""})


def read_vocabulary(*, inflections: str | None, synonyms: str | None, wheels: str | None) -> Vocabulary:
    """Return the vocabulary of files (CSV, JSON, JSONL or parquet).

    Args:
        inflections: columns ``word`` and ``canonical``, one pair a row, for example *angered, anger*.
        synonyms: likewise, for example *mad, angry*; applied after the inflections.
        wheels: columns ``wheel``, ``level1`` (inner), ``level2`` and ``level3`` (outer), one outer word a row. A word of the
            inner ring maps, on level 2, to the first of its level-2 groups in alphabetical order, as in the public code of
            MER2025.

    Raises:
        DataError: a file lacks a column.
    """
    stages = tuple(_pairs(Path(path)) for path in (inflections, synonyms) if path)
    return Vocabulary(stages, _wheels(Path(wheels)) if wheels else {})


def _pairs(path: Path) -> dict[str, frozenset[str]]:
    table = _require(path, ("word", "canonical"))
    pairs: dict[str, set[str]] = {}
    for word, canonical in zip(words(table, "word"), words(table, "canonical"), strict=True):
        if word and canonical:
            pairs.setdefault(word.casefold(), set()).add(canonical.casefold())
    return {word: frozenset(others) for word, others in pairs.items()}


def _wheels(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    table = _require(path, ("wheel", *LEVELS, "level3"))
    wheels: dict[tuple[str, str], dict[str, str]] = {}
    for name, rows in table.groupby("wheel", sort=True):
        if "" in (inner := words(rows, "level1")) or "" in words(rows, "level2"):
            raise DataError(f"wheel '{name}' of {path} has a row without level1 or level2", found=f"{len(inner)} rows")
        rings = [[word.casefold() for word in words(rows, column)] for column in (*LEVELS, "level3")]
        first = {word: min(b for a, b in zip(rings[0], rings[1], strict=True) if a == word) for word in rings[0]}
        level1: dict[str, str] = {}
        level2 = dict(first)
        for ring in (rings[2], rings[1], rings[0]):  # a word on two rings belongs to its innermost place
            level1 |= dict(zip(ring, rings[0], strict=True))
        for ring in (rings[2], rings[1]):
            level2 |= dict(zip(ring, rings[1], strict=True))
        for level, groups in zip(LEVELS, (level1, level2), strict=True):
            wheels[str(name), level] = {word: group for word, group in groups.items() if word}
    return wheels


def _require(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path)
    if missing := [column for column in columns if column not in table]:
        raise DataError(
            f"{path} has no column '{missing[0]}'", expected=", ".join(columns), found=", ".join(map(str, table.columns))
        )
    return table
