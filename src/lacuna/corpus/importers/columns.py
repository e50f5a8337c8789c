"""A corpus from named columns with one value an utterance: Arrow tables, Hugging Face datasets, ``.mat`` files.

A column of texts or single numbers is a role (``id``, ``dialogue``, ``turn``, ``speaker``, ``split``, ``text``) or a label. A
column of vectors (d,) or sequences (T, d) is a modality. A column of lists of words holds several labels an utterance: it becomes
a target ``<column>`` of shares, and one target ``<column>-<word>`` (no, yes) for each word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Options, slug
from lacuna.corpus.importers.labels import Labelled, multi_label_targets, number_targets, pairs
from lacuna.corpus.importers.samples import SPLIT_NAMES
from lacuna.corpus.importers.sources import Zeros, describe, many, natural_key, provenance
from lacuna.corpus.importers.table import TableOptions, read_targets, standard_split
from lacuna.corpus.repair import Policy
from lacuna.errors import ConfigError, DataError

ROLES = {
    "id": ("id", "ids", "utterance_id", "clip_id", "segment_id", "sample_id"),
    "dialogue": ("dialogue", "dialogue_id", "conversation_id", "video_id"),
    "turn": ("turn", "turn_id", "utterance_index"),
    "speaker": ("speaker", "speaker_id"),
    "split": ("split",),
    "text": ("text", "raw_text", "transcript", "sentence", "utterance"),
}
_ALIASES = {"video": "vision", "visual": "vision", "acoustic": "audio", "language": "text"}
_SUFFIX = re.compile(r"[_ -]?(features?|feats?|embeddings?|vectors?)", re.IGNORECASE)
_LABELS = re.compile(r"(.*[_ -])?(labels?|annotations?|targets?|emotions?|y)", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnOptions(Options):
    """Options of importers of columns.

    Attributes:
        roles: columns that a name does not tell, ``role=column``; roles are id, dialogue, turn, speaker, split and text.
        modalities: columns to read as modalities, ``column`` or ``column=name``; empty = every column of vectors or sequences.
        targets: label columns to read, the first one being the default target; ``None`` = every column that is no role.
        classes: label columns of numbers that are classes and not a score.
        soft: columns of shares or vote counts that make one target ``votes``.
        zeros: recordings of nothing but zeros: ``keep`` them, or read them as ``absent``.
        nonfinite: what to do with NaN and inf in the features.
    """

    roles: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


def kind_of(values: Sequence[Any]) -> str:
    """Return what a column holds: ``text``, ``number``, ``frames``, ``words`` (lists of words), ``nothing`` or ``other``."""
    first = next((v for v in values if v is not None), None)
    if first is None:
        return "nothing"
    if isinstance(first, str | bytes):
        return "text"
    if isinstance(first, bool | int | float | np.generic):
        return "number"
    if isinstance(first, list | tuple | np.ndarray):
        items: Any = next((v for v in values if v is not None and len(v)), [])
        if len(items) and all(isinstance(item, str) for item in items):
            return "words"
        try:
            array = np.asarray(items)
        except ValueError:  # ragged
            return "other"
        return "frames" if array.dtype.kind in "fiub" and array.ndim in (1, 2) else "other"
    return "other"


def corpus_of(
    importer: str,
    path: Path,
    files: Iterable[Path],
    columns: Mapping[str, Sequence[Any]],
    options: ColumnOptions,
    *,
    name: str,
    notes: Sequence[str] = (),
) -> Corpus:
    """Return the corpus that the columns hold.

    Args:
        importer: name of the importer.
        path: what is imported.
        files: that were read.
        columns: by name, N values each; ``None`` = nothing for this utterance.
        options: of the importer.
        name: of the corpus.
        notes: of the importer.

    Raises:
        DataError: no column of features, columns of different length, or ids that repeat.
        ConfigError: an option names a column that does not exist.
    """
    total = _length(name, columns)
    kinds = {column: kind_of(values) for column, values in columns.items()}
    roles = _roles(name, columns, kinds, options)
    used = set(roles.values())
    modalities = {c: m for c, m in _modalities(name, kinds, options).items() if c not in used}
    splits = None if "split" not in roles else [_split(v) for v in columns[roles["split"]]]
    ids = _ids(name, columns, roles, splits, total)
    targets, left, target_notes = _targets(name, columns, kinds, options, used=used | set(modalities), ids=ids)
    dialogues = ids if "dialogue" not in roles else [str(_text(d)) for d in columns[roles["dialogue"]]]
    rows = list(range(total)) if "dialogue" in roles else [0] * total  # the order of the rows means nothing between dialogues
    turns: Sequence[Any] = columns[roles["turn"]] if "turn" in roles else rows
    speakers = None if "speaker" not in roles else [_text(s) or "unknown" for s in columns[roles["speaker"]]]
    texts = None if "text" not in roles else [_text(t) for t in columns[roles["text"]]]
    order = sorted(range(total), key=lambda r: (natural_key(dialogues[r]), turns[r], natural_key(ids[r])))
    frames = {
        m: [_frames(columns[c][r], options.zeros) for r in order] for c, m in sorted(modalities.items(), key=lambda item: item[1])
    }

    def ordered(values: Sequence[Any] | None) -> list[Any] | None:
        return None if values is None else [values[row] for row in order]

    unread = [f"column '{c}' ({describe(next((v for v in columns[c] if v is not None), None))}) was not read" for c in left]
    read = ", ".join(f"{c} = {role}" for role, c in sorted(roles.items()) if c != role)
    return assemble(
        name,
        ids=ordered(ids) or [],
        dialogues=ordered(dialogues) or [],
        turns=ordered(turns) or [],
        channels={m: Channel(f, f"column of {path.name}") for m, f in frames.items()},
        targets=[target for target, _ in targets],
        labels={target.name: np.asarray(values)[order] for target, values in targets},
        splits=ordered(splits),
        speakers=ordered(speakers),
        texts=ordered(texts),
        provenance=provenance(
            importer, path, files, notes=[*notes, *([f"roles: {read}"] if read else []), *target_notes, *unread]
        ),
        nonfinite=options.nonfinite,
    )


def _length(name: str, columns: Mapping[str, Sequence[Any]]) -> int:
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(
            "columns differ in length", corpus=name, expected="one value an utterance in each", found=lengths or "none"
        )
    return next(iter(lengths.values()))


def _roles(name: str, columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, str], options: ColumnOptions) -> dict[str, str]:
    chosen = pairs("roles", options.roles)
    for role, column in chosen.items():
        if role not in ROLES or column not in columns:
            raise ConfigError(
                f"option 'roles': '{role}={column}' is not a role and a column of {name}; roles: {', '.join(ROLES)}; "
                f"columns: {', '.join(columns)}"
            )
    lower = {column.lower(): column for column in columns}
    labels = {*(options.targets or ()), *options.classes, *options.soft}
    for role, names in ROLES.items():
        candidates = [lower[n] for n in names if n in lower and kinds[lower[n]] in ("text", "number")]
        candidates = [c for c in candidates if c not in labels and (role != "text" or kinds[c] == "text")]
        if candidates and role not in chosen:
            chosen[role] = candidates[0]
    return chosen


def _modalities(name: str, kinds: Mapping[str, str], options: ColumnOptions) -> dict[str, str]:
    """Return the modality of each column of features."""
    named = pairs("modalities", options.modalities, alone=True)
    if unknown := next((c for c in named if c not in kinds), None):
        raise ConfigError(f"option 'modalities' names {unknown!r}; {name} has the columns: {', '.join(kinds)}")
    labels = {*(options.targets or ()), *options.classes, *options.soft}
    found = [c for c, kind in kinds.items() if kind == "frames" and not _LABELS.fullmatch(c) and c not in labels]
    result: dict[str, str] = {}
    for column in named or found:
        plain = _SUFFIX.sub("", slug(named.get(column, column)))
        modality = _ALIASES.get(plain, plain) or slug(column)
        if modality in result.values():
            modality = slug(column)
        result[column] = slug(named[column]) if named.get(column, column) != column else modality
    if not result:
        raise DataError(
            "no column holds features",
            corpus=name,
            expected="a column of vectors (d,) or sequences (T, d)",
            found=", ".join(f"{c} ({kind})" for c, kind in kinds.items()),
        )
    return result


def _ids(
    name: str, columns: Mapping[str, Sequence[Any]], roles: Mapping[str, str], splits: Sequence[str | None] | None, total: int
) -> list[str]:
    if "id" not in roles:
        return [f"{'row' if splits is None else splits[row] or 'row'}-{row}" for row in range(total)]
    ids = [_text(value) for value in columns[roles["id"]]]
    if None in ids or len(set(ids)) < total:
        row = ids.index(None) if None in ids else next(r for r, i in enumerate(ids) if i in ids[:r])
        raise DataError(
            f"column '{roles['id']}' does not name every utterance",
            corpus=name,
            expected="a unique id in every row",
            found=f"{'nothing' if ids[row] is None else repr(ids[row]) + ' again'} in row {row}",
            hint="name another column with option `roles`, e.g. roles=id=file",
        )
    return [str(i) for i in ids]


def _targets(
    name: str,
    columns: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, str],
    options: ColumnOptions,
    *,
    used: set[str],
    ids: list[str],
) -> tuple[list[Labelled], list[str], list[str]]:
    """Return targets with labels, columns that are not read, and notes."""
    import pandas as pd

    free = [c for c in columns if c not in used]
    scalar = [c for c in free if kinds[c] in ("text", "number")]
    named = [*(options.targets or ()), *options.classes, *options.soft]
    if unknown := next((c for c in named if c not in columns), None):
        raise ConfigError(f"{name} has no column {unknown!r}; it has: {', '.join(columns)}")
    chosen = free if options.targets is None else [c for c in options.targets if c in free]
    table = pd.DataFrame({c: [_text(v) if kinds[c] == "text" else v for v in columns[c]] for c in scalar})
    settings = TableOptions(
        targets=tuple(c for c in chosen if c in scalar and c not in options.soft), classes=options.classes, soft=options.soft
    )
    targets, labels, notes = read_targets(name, table, settings)
    result: list[Labelled] = [(t, labels[t.name]) for t in targets]
    for column in chosen:
        if kinds[column] == "words":
            result += multi_label_targets(slug(column), columns[column])
            notes.append(f"column '{column}' holds several labels an utterance: read as shares, and as yes or no for each label")
        elif kinds[column] == "frames":
            numbers = np.asarray([np.asarray(v, np.float64).reshape(-1) for v in columns[column]])
            rules: dict[str, Any] = {"columns": (), "scale": None, "usual": (-np.inf, np.inf), "ids": ids}
            result += number_targets(name, slug(column), numbers, **rules)
    names = [target.name for target, _ in result]
    first = slug(options.targets[0]) if options.targets else None
    result.sort(key=lambda item: item[0].name != first) if first in names else None
    left = [c for c in free if c not in chosen and c not in options.soft] + [
        c for c in chosen if kinds[c] in ("other", "nothing")
    ]
    return result, left, [n for n in notes if not n.startswith("columns not read")]


def _frames(value: Any, zeros: Zeros) -> NDArray[Any] | None:
    if value is None or not len(value):
        return None
    array = np.asarray(value)
    return None if zeros == "absent" and array.dtype.kind in "fiub" and not array.any() else array


def _split(value: Any) -> str | None:
    text = _text(value)
    return SPLIT_NAMES.get(text.lower(), text) if text else standard_split(text or None)


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text or None


def table_note(total: int, splits: Sequence[str] = ()) -> str:
    """Return a note on how many rows were read."""
    return f"{many(total, 'row')} read" + (f" from splits {', '.join(splits)}" if splits else "")
