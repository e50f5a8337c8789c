"""MELD as published: one CSV a split, with feature files next to it as matrices or dictionaries.

Features are arrays in the order of the CSV's rows, or dictionaries from ``<dialogue>_<utterance>`` (also ``dia0_utt0``) to
numbers. An utterance without entry lacks the modality. Without feature files the words are hashed, so the CSVs suffice.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus, key_of
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.conversations import MELD
from lacuna.corpus.importers.labels import pairs
from lacuna.corpus.importers.outlines import PICKLES
from lacuna.corpus.importers.sources import first_line, folder_files, provenance, read_npy
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError

SENTIMENTS = ("neutral", "positive", "negative")
HASHED = "hashed"
_SPLITS = {"train": "train", "dev": "valid", "test": "test"}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
_KEY = re.compile(r"(?:dia)?(\d+)_(?:utt)?(\d+)")
_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


@dataclass(frozen=True)
class MeldOptions(Options):
    """Options of ``meld-csv``.

    Attributes:
        splits: which CSVs to read; empty = all in the folder. A single CSV gives a corpus without splits.
        features: by modality, a file, or a file by split. ``{split}`` in a file name stands for train, dev or test.
            ``hashed`` instead of a file name = hashed words. Default: text as hashed words.
        skip: utterances that have no row in matrices, e.g. ``110_7``, or ``dev_110_7`` if several splits are read.
        words: label words and the emotion or sentiment that each one means, ``word=class``, e.g. for labels in another language.
        width: number of columns of hashed words.
        nonfinite: what to do with NaN and inf, see :func:`lacuna.corpus.repair.repair`.
    """

    splits: tuple[Literal["train", "dev", "test"], ...] = ()
    features: dict[str, str | dict[str, str]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    width: int = 256
    nonfinite: Policy = "refuse"


@register("meld-csv", reads="a folder with MELD's train/dev/test_sent_emo.csv, and feature files that the options name")
class Meld(Importer[MeldOptions]):
    """Reads MELD annotations with or without feature files."""

    Options = MeldOptions

    def recognise(self, path: Path) -> Recognition | None:
        """See the base class; a single CSV is recognised too."""
        tables = _tables(path)
        if not tables or not all(set(_COLUMNS) <= set(next(csv.reader([first_line(f)]), [])) for f in tables.values()):
            return None
        return Recognition(f"MELD annotations, {', '.join(tables)}; text is hashed unless the options name feature files")

    def load(self, path: Path, *, name: str, options: MeldOptions) -> Corpus:
        """See the base class."""
        tables = _tables(path)
        chosen: tuple[str, ...] = options.splits or tuple(tables)
        if lacking := [s for s in chosen if s not in tables] or ([] if chosen else ["train"]):
            raise DataError(
                "a CSV does not exist",
                corpus=name,
                expected=f"{lacking[0]}_sent_emo.csv",
                found=", ".join(tables) or "none",
                hint="give the folder that holds the three CSV files of MELD",
            )
        words = pairs("words", options.words)
        rows = {split: _rows(name, tables[split], words) for split in dict.fromkeys(chosen)}
        flat = [(split, row) for split, part in rows.items() for row in part]
        ids = [f"{split}_{r['Dialogue_ID']}_{r['Utterance_ID']}" for split, r in flat]
        skip = _skipped(options.skip, ids, tuple(rows))
        root = path if path.is_dir() else path.parent
        files, notes = [tables[s] for s in rows], [f"skipped in matrices in row order: {', '.join(sorted(skip))}"] if skip else []
        channels: dict[str, Channel] = {}
        for modality, source in (options.features or {"text": HASHED}).items():
            if source == HASHED:
                channels[modality] = _hashed([r["Utterance"] for _, r in flat], options.width)
                continue
            frames: list[Any] = []
            file_names = _files(modality, source, tuple(rows))
            for split in rows:
                part = [i.removeprefix(f"{split}_") for i in ids if i.startswith(f"{split}_")]
                left_out = {i.removeprefix(f"{split}_") for i in skip if i.startswith(f"{split}_")}
                if split in file_names:
                    files.append(file := root / file_names[split])
                    split_frames, note = _features(name, modality, file, part, left_out)
                else:
                    split_frames, note = [None] * len(part), f"no features of {split}"
                frames += split_frames
                absent = sum(f is None for f in split_frames)
                notes.append(f"{modality}: {note}, absent from {absent} of {len(part)} utterances")
            channels[modality] = Channel(frames, f"given in {', '.join(sorted(set(file_names.values())))}")
        nothing = np.all([c.absent for c in channels.values()], axis=0)  # (N,)
        empty = [i for i, is_empty in zip(ids, nothing, strict=True) if is_empty]
        notes += (
            [f"no modality at all: {', '.join(empty[:10])}{' ...' if len(empty) > 10 else ''} ({len(empty)})"] if empty else []
        )
        notes += [f"only {chosen[0]} was read: no splits, cut it into folds"] if len(rows) == 1 else []
        return assemble(
            name,
            ids=ids,
            dialogues=[f"{split}_{r['Dialogue_ID']}" for split, r in flat],
            turns=[int(r["Utterance_ID"]) for _, r in flat],
            channels=channels,
            targets=[Target("emotion", "classification", MELD), Target("sentiment", "classification", SENTIMENTS)],
            labels={
                "emotion": [MELD.index(r["Emotion"]) if r["Emotion"] else -1 for _, r in flat],
                "sentiment": [SENTIMENTS.index(r["Sentiment"]) if r["Sentiment"] else -1 for _, r in flat],
            },
            splits=[_SPLITS[s] for s, _ in flat] if len(rows) > 1 else None,
            speakers=[r["Speaker"] for _, r in flat],
            texts=[r["Utterance"] for _, r in flat],
            provenance=provenance(self.name, path, files, licence="GPL-3.0 (annotations of MELD)", notes=notes),
            nonfinite=options.nonfinite,
        )


def _tables(path: Path) -> dict[str, Path]:
    """Return the CSVs by split: those of the folder, or the file ``path`` itself."""
    files = folder_files(path) if path.is_dir() else {path.name: path}
    return {s: files[f"{s}_sent_emo.csv"] for s in _SPLITS if f"{s}_sent_emo.csv" in files}


def _rows(corpus: str, file: Path, words: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of a CSV with checked labels and numbers; the text is unchanged."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle, strict=True))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name} is not UTF-8",
            corpus=corpus,
            expected="UTF-8, as published",
            found=f"byte 0x{error.object[error.start]:02x} at {error.start}",
            hint="convert it to UTF-8 from its encoding (often cp1252)",
        ) from None
    except csv.Error as error:
        raise DataError(f"{file.name} is not a CSV", corpus=corpus, found=str(error), hint="download the file again") from None
    if not rows or (lacking := [c for c in _COLUMNS if c not in rows[0]]):
        split_frames = ", ".join(str(c) for c in rows[0]) if rows else "no row"
        raise DataError(
            f"{file.name} lacks {', '.join(lacking) if rows else 'rows'}", corpus=corpus, expected=_COLUMNS, found=split_frames
        )
    known = {"Emotion": ("", *MELD), "Sentiment": ("", *SENTIMENTS)}
    for number, row in enumerate(rows, 1):
        where = f"row {number} of {file.name}"
        if any(row[c] is None for c in _COLUMNS):
            raise DataError(f"{where} has too few fields", corpus=corpus, expected=f"{len(rows[0])} fields")
        for column, names in known.items():
            row[column] = row[column].strip().lower()
            row[column] = words.get(row[column], row[column])
            if row[column] not in names:
                what, expected = f"{where}: unknown {column.lower()}", ", ".join(names[1:])
                hint = f"map it with option `words`, e.g. words={row[column]}={names[1]}"
                raise DataError(what, corpus=corpus, expected=expected, found=repr(row[column]), hint=hint)
        for column in ("Dialogue_ID", "Utterance_ID"):
            if not row[column].strip().isdecimal():
                raise DataError(f"{where}: {column} is not a number", corpus=corpus, found=repr(row[column]))
            row[column] = str(int(row[column]))
    return rows


def _skipped(skip: tuple[str, ...], ids: list[str], splits: tuple[str, ...]) -> set[str]:
    full = {f"{splits[0]}_{s}" if len(splits) == 1 and not s.startswith(f"{splits[0]}_") else s for s in skip}
    if unknown := sorted(full - set(ids)):
        raise ConfigError(
            f"`skip` names {unknown[0]!r}, which is no utterance; write '110_7', or 'dev_110_7' with several splits"
        )
    return full


def _files(modality: str, source: str | Mapping[str, str], splits: tuple[str, ...]) -> dict[str, str]:
    """Return the file name by split."""
    if isinstance(source, str):
        if len(splits) > 1 and "{split}" not in source:
            raise ConfigError(f"features of '{modality}': give a file for each of {', '.join(splits)}, or one with {{split}}")
        source = dict.fromkeys(splits, source)
    if unknown := sorted(set(source) - set(_SPLITS)):
        raise ConfigError(f"features of '{modality}': unknown split {unknown[0]!r}; known: {', '.join(_SPLITS)}")
    return {s: source[s].replace("{split}", s) for s in splits if s in source}


def _features(corpus: str, modality: str, file: Path, ids: list[str], skip: set[str]) -> tuple[list[NDArray[Any] | None], str]:
    """Return the frames of each ``<dialogue>_<utterance>`` of a split (``None`` = absent) and a note on the file."""
    if not file.is_file():
        raise DataError(
            "a feature file does not exist",
            corpus=corpus,
            modality=modality,
            expected=file.name,
            found="no such file",
            hint="correct the option that names it",
        )
    content = read_pickle(file) if file.suffix.lower() in PICKLES else np.array(read_npy(file))
    if isinstance(content, dict):
        keys = {m[1] + "_" + m[2]: v for k, v in content.items() if (m := _KEY.fullmatch(str(k)))}
        frames = [None if (v := keys.get(i)) is None else np.asarray(v) for i in ids]
        matched = sum(f is not None for f in frames)
        if not matched:
            raise DataError(
                f"no key of {file.name} names an utterance",
                corpus=corpus,
                modality=modality,
                expected=f"'{ids[0]}'",
                found=repr(next(iter(content), "nothing")),
            )
        stray = len(content) - matched
        return frames, f"{file.name} by key" + (f" ({stray} of its keys name no utterance)" if stray else "")
    if not isinstance(content, np.ndarray | list) or not len(np.shape(content[:1])) > 1:
        raise DataError(
            f"{file.name} holds no features",
            corpus=corpus,
            modality=modality,
            expected="a matrix with one row an utterance, or a dictionary by '<dialogue>_<utterance>'",
            found=type(content).__name__,
        )
    held = [i for i in ids if i not in skip]
    if off := len(content) - len(held):
        raise DataError(
            f"{file.name} has {off:+d} rows compared with the CSV, so rows cannot be assigned to utterances",
            corpus=corpus,
            modality=modality,
            expected=f"{len(held)} rows ({len(ids)} utterances, {len(ids) - len(held)} skipped)",
            found=len(content),
            hint="name the utterances without row with `skip`" if off < 0 else "skip fewer, or give the features of this split",
        )
    by_id = dict(zip(held, content, strict=True))
    return [by_id.get(i) for i in ids], f"{file.name} in row order"


def _hashed(texts: list[str], width: int) -> Channel:
    """Return signed feature hashing of lower-case words and punctuation marks: (width,) an utterance, of norm 1.

    Columns and signs come from a stable 64-bit hash of the word: nothing is fitted, so nothing leaks between splits.
    Each word has two columns, so that two words that share one column do not cancel ("okay" and "," would at 256).
    """
    if width < 2:
        raise ConfigError(f"`width` must be at least 2, not {width}")
    table = np.zeros((len(texts), width), np.float32)
    cache: dict[str, int] = {}
    for row, text in enumerate(texts):
        for word in _WORD.findall(text.lower().replace("\u2019", "'")):
            if word not in cache:
                cache[word] = key_of(word)
            for half in (cache[word] & 0xFFFFFFFF, cache[word] >> 32):
                table[row, (half >> 1) % width] += 1 if half & 1 else -1
    norm = np.linalg.norm(table, axis=1, keepdims=True)
    return Channel(table / np.where(norm > 0, norm, 1), f"signed hashing of words into {width} columns, L2-normalised")
