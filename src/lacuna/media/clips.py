"""The clips of a source: a folder of recordings, a table of clips, or one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.corpus.importers.sheets import ids_of, read_sheet, strings
from lacuna.corpus.importers.table import TableOptions, read_targets, standard_split
from lacuna.corpus.schema import Target
from lacuna.errors import DataError
from lacuna.media.decode import SUFFIXES
from lacuna.media.names import recognise_names
from lacuna.media.problems import MediaError

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("recordings.csv", "recordings.parquet", "utterances.csv", "utterances.parquet")
_OWN = ("file", "start", "end")  # columns that only a table of clips has


@dataclass(frozen=True)
class Clip:
    """One utterance in a recording.

    Attributes:
        id: of the utterance.
        path: the recording; ``None`` if there is only a transcript.
        start: in seconds of the recording.
        end: in seconds; ``None`` = the end of the recording.
        text: the transcript.
    """

    id: str
    path: Path | None
    start: float = 0.0
    end: float | None = None
    text: str | None = None


@dataclass(frozen=True)
class Clips:
    """The clips of a source, with what is known of them: the arguments of :func:`lacuna.corpus.assemble.assemble`.

    Attributes:
        clips: N clips.
        dialogues: N dialogue names.
        turns: N positions in the dialogue.
        speakers: N speaker names.
        splits: N of ``train``, ``valid``, ``test`` or ``None``.
        targets: what can be predicted.
        labels: by target name.
        tables: the files that list the clips, if there are any.
        licence: terms of the corpus, as far as known.
        notes: how the source was read, one sentence each.
    """

    clips: Sequence[Clip]
    dialogues: Sequence[str]
    turns: Sequence[Any]
    speakers: Sequence[str]
    splits: Sequence[str | None] | None = None
    targets: Sequence[Target] = ()
    labels: dict[str, Any] = field(default_factory=dict)
    tables: Sequence[Path] = ()
    licence: str = "unknown"
    notes: Sequence[str] = ()


def is_recordings(path: Path) -> bool:
    """Return whether a path is a recording, a folder of recordings, one with a table of clips, or a public corpus of them."""
    from lacuna.media.public import is_public

    if path.is_file():
        return path.suffix.lower() in SUFFIXES
    return path.is_dir() and (_table(path) is not None or is_public(path) or bool(_recordings(path)))


def clips_of(path: Path, options: TableOptions | None = None, turns: str | None = None) -> Clips:
    """Return the clips of a source.

    Args:
        path: a recording; a folder with a table of clips; a public corpus as downloaded; or a folder whose recordings are one
            utterance each.
        options: how label columns of the table are read.
        turns: cut recordings without a table into turns, found by this detector of speech
            (:func:`lacuna.media.turns.activity`); the turns of a recording are a dialogue.

    Raises:
        DataError: there is no recording, or the table is malformed.
    """
    from lacuna.media.public import clips_of_public, is_public

    if path.is_file():
        return _cut(_from_files([path], path.parent), turns)
    if (table := _table(path)) is not None:
        return _from_table(path, table, options or TableOptions())
    if is_public(path):
        return clips_of_public(path, options)
    files = _recordings(path)
    if not files:
        raise DataError(
            f"there is no recording in {path.name}",
            expected=f"files such as .wav or .mp4, or a table ({', '.join(TABLES)}) with a column 'file'",
            found="nothing" if not path.is_dir() or not any(path.iterdir()) else "other files",
            hint="give a recording, a folder of recordings or such a table",
        )
    return _cut(_from_files(files, path), turns)


def _cut(whole: Clips, detector: str | None) -> Clips:
    """Return the turns of recordings. One with a transcript, without sound or without speech stays one clip."""
    if detector is None:
        return whole
    from lacuna.media.turns import find_turns

    rows: list[int] = []
    clips: list[Clip] = []
    for row, clip in enumerate(whole.clips):
        try:
            found = [] if clip.text or clip.path is None else find_turns(clip.path, detector)
        except MediaError:
            found = []  # what is wrong with the recording is told when it is encoded
        clips += [replace(clip, id=f"{clip.id}-{n:04d}", start=start, end=end) for n, (start, end) in enumerate(found)] or [clip]
        rows += [row] * max(1, len(found))
    if len(clips) == len(whole.clips):
        return whole
    pauses = f"cut into {len(clips)} turns at pauses ({detector})"
    return Clips(
        clips,
        dialogues=[whole.clips[row].id for row in rows],
        turns=[n - rows.index(row) for n, row in enumerate(rows)],
        speakers=[whole.speakers[row] for row in rows],
        targets=whole.targets,
        labels={name: [values[row] for row in rows] for name, values in whole.labels.items()},
        notes=[*whole.notes, pauses],
    )


def _table(folder: Path) -> Path | None:
    """Return the table of clips: a file of that name with a column ``file``."""
    for name in TABLES:
        if (path := folder / name).is_file():
            try:
                if "file" in read_sheet(path)[0]:
                    return path
            except DataError:
                if name.startswith("recordings"):
                    return path  # its error is the one to show
    return None


def _recordings(folder: Path) -> list[Path]:
    """Return the recordings in a folder and its subfolders, sorted by path; hidden files are not looked at."""
    files = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in files if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _from_files(files: list[Path], folder: Path) -> Clips:
    """Return one clip a file; a text file of the same name is its transcript."""
    names = [file.relative_to(folder).with_suffix("").as_posix() for file in files]
    ids = [
        name if names.count(name) == 1 else file.relative_to(folder).as_posix() for name, file in zip(names, files, strict=True)
    ]
    texts = [_transcript(file) for file in files]
    clips = [Clip(name, file, text=text) for name, file, text in zip(ids, files, texts, strict=True)]
    notes = [f"{len(files)} recordings, each of them one utterance"]
    recognised = recognise_names([file.stem for file in files])
    if recognised is None:
        return Clips(clips, ids, [0] * len(ids), ["unknown"] * len(ids), notes=notes)
    rule, groups = recognised
    classes = tuple(rule.emotions.values())
    codes = list(rule.emotions)
    targets = (Target("emotion", "classification", classes),) if classes else ()
    labels = {"emotion": [codes.index(group["emotion"]) for group in groups]} if classes else {}
    return Clips(
        clips,
        dialogues=[group.get("dialogue") or name for group, name in zip(groups, ids, strict=True)],
        turns=[int(group.get("turn") or 0) for group in groups],
        speakers=[group.get("speaker") or "unknown" for group in groups],
        targets=targets,
        labels=labels,
        notes=[*notes, f"the names follow the rule of {rule.corpus}: {', '.join(groups[0])}"],
    )


def _transcript(file: Path) -> str | None:
    path = file.with_suffix(".txt")
    if not path.is_file():
        return None
    try:
        return path.read_text("utf-8-sig").strip() or None
    except UnicodeDecodeError:
        raise DataError(
            f"{path.name} is not a transcript", expected="text as UTF-8", found="other bytes", hint="save the file as UTF-8"
        ) from None


def _from_table(folder: Path, file: Path, options: TableOptions) -> Clips:
    table, notes = read_sheet(file)
    ids = ids_of(file.name, table)
    files = strings(table, "file") or [None] * len(ids)
    texts = strings(table, "text") or [None] * len(ids)
    starts, ends = (_seconds(file.name, table, column, ids) for column in ("start", "end"))
    clips = [
        Clip(name, None if path is None else folder / path, start or 0.0, end, text)
        for name, path, start, end, text in zip(ids, files, starts, ends, texts, strict=True)
    ]
    for clip in clips:
        if clip.path is None and clip.text is None:
            raise DataError(
                f"{file.name}: a row has neither a file nor a text",
                utterance=clip.id,
                hint="name a file in the row, or delete the row",
            )
        if not 0 <= clip.start < (clip.end if clip.end is not None else float("inf")):
            raise DataError(
                f"{file.name}: a clip has no length",
                utterance=clip.id,
                expected="0 <= start < end",
                found=f"{clip.start}, {clip.end}",
                hint="correct start and end, in seconds",
            )
    targets, labels, read = read_targets(file.name, table.drop(columns=[c for c in _OWN if c in table]), options)
    dialogues, splits, speakers = (strings(table, column) for column in ("dialogue", "split", "speaker"))
    return Clips(
        clips,
        dialogues=[d or name for d, name in zip(dialogues or [None] * len(ids), ids, strict=True)],
        turns=table["turn"].tolist() if "turn" in table else list(range(len(ids))),
        speakers=[s or "unknown" for s in speakers or [None] * len(ids)],
        splits=None if splits is None else [standard_split(s) for s in splits],
        targets=targets,
        labels=labels,
        tables=[file],
        notes=[*notes, *read],
    )


def _seconds(file: str, table: pd.DataFrame, column: str, ids: list[str]) -> list[float | None]:
    """Return a column of seconds; empty cells are ``None``."""
    cells = strings(table, column) or [None] * len(ids)
    seconds: list[float | None] = []
    for name, cell in zip(ids, cells, strict=True):
        try:
            seconds.append(None if cell is None else float(cell))
        except ValueError:
            raise DataError(
                f"{file}: '{column}' is no number of seconds", utterance=name, found=repr(cell), hint="write seconds, e.g. 12.5"
            ) from None
    return seconds
