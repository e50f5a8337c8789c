"""Files that CMU-MOSI, CMU-MOSEI and CH-SIMS have in common: ``label.csv`` or ``meta.csv`` as MMSA distributes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Row
from lacuna.corpus.adapters.files import Media, find, number, read_rows
from lacuna.corpus.importers.sources import first_line
from lacuna.corpus.speakers import LOCAL
from lacuna.errors import DataError

COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
TABLES = ("label.csv|Raw/label.csv", "meta.csv|Raw/meta.csv", "meta(s).csv|Raw/meta(s).csv")
SCORES = {"score": "label", "score_text": "label_T", "score_audio": "label_A", "score_vision": "label_V"}
_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}


def is_sims(video: str) -> bool:
    """Return whether a video is named as in CH-SIMS (``video_0001``) or CH-SIMS v2 (``aqgy3_0001``)."""
    return re.fullmatch(r"video_\d{4}|[a-z]+\d*_\d{4}", video) is not None


def table_of(folder: Path, fits: Callable[[str], bool]) -> Path | None:
    """Return the label table of a folder, if the name of its first video fits."""
    for file in find(folder, "|".join(TABLES)):
        header = [cell.strip() for cell in first_line(file).split(",")]
        if set(COLUMNS) <= set(header) and fits(read_rows(file, COLUMNS)[0]["video_id"]):
            return file
    return None


def opinion_rows(file: Path, media: Media, *, polarity: bool = True) -> Iterable[Row]:
    """Return the rows of a label table.

    Args:
        file: the table.
        media: with ``<video>/<clip>.mp4``; the number of a clip may be filled with zeros.
        polarity: whether the column ``annotation`` is a label.
    """
    for row in read_rows(file, COLUMNS):
        video, clip = row["video_id"], row["clip_id"]
        name = f"{video}_{clip}"
        if row["mode"].lower() not in _SPLITS:
            raise DataError(f"{file.name}: unknown split", utterance=name, expected=", ".join(_SPLITS), found=row["mode"])
        forms = (f"{video}/{clip}", f"{video}/{clip.zfill(4)}", name)
        found = next((path for form in forms if (path := media.find(form))), None)
        scores = {target: number(file, row[column], name) for target, column in SCORES.items() if row.get(column)}
        yield Row(
            name,
            video,
            int(clip) if clip.isdecimal() else 0,
            speaker=f"{video}{LOCAL}speaker",
            split=_SPLITS[row["mode"].lower()],
            text=row["text"] or None,
            file=found or media.path(f"{video}/{clip}"),
            labels={**scores, **({"polarity": row["annotation"].lower() or None} if polarity and "annotation" in row else {})},
        )
