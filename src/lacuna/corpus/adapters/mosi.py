"""CMU-MOSI and CMU-MOSEI: the folder ``Raw`` of the SDK, or clips with ``label.csv`` as MMSA distributes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, matching, number, read_rows, read_text, whole
from lacuna.corpus.adapters.opinions import TABLES, is_sims, opinion_rows, table_of
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import LOCAL
from lacuna.errors import DataError

_POLARITY = ("negative", "neutral", "positive")
_SPLITS = {"0": "train", "1": "valid", "2": "test"}
_MOSI_TABLE, _MOSEI_TABLE = (
    "|".join(f"{place}{name}" for place in ("", "Labels/", "labels/", "Raw/", "Raw/Labels/"))
    for name in ("OpinionLevelSentiment.csv", "CMU_MOSEI_Labels.csv")
)
_MOSEI = ("file", "index", "start", "end", "label7", "split")


@register_adapter("mosi")
class Mosi(Adapter):
    """Reads scores, transcripts and clips of either corpus; both have the same files."""

    title = "CMU-MOSI, CMU-MOSEI"
    licence = "research only; the videos are from YouTube"
    where = "http://multicomp.cs.cmu.edu/resources (Raw), https://github.com/thuiar/MMSA (clips with label.csv)"
    paper = "Zadeh et al., MOSI, IEEE Intelligent Systems 31(6), 2016; Zadeh et al., CMU-MOSEI, ACL 2018"
    layout = (
        "label.csv and Raw/<video>/<clip>.mp4; or Raw/Transcript/Segmented/, Raw/Video/Segmented/,"
        " Raw/Audio/WAV_16000/Segmented/ with OpinionLevelSentiment.csv (MOSI) or CMU_MOSEI_Labels.csv (MOSEI)"
    )
    splits = "label.csv and CMU_MOSEI_Labels.csv: official; OpinionLevelSentiment.csv: none"
    published = "CMU-MOSI 2,199 segments of 93 videos; CMU-MOSEI about 23,000 sentences"
    verified = "public readers of all three label files"
    unverified = "the archives themselves; the emotions of MOSEI are in a .csd only and are not read"
    targets = (
        Target("score", "regression", low=-3, high=3),
        Target("polarity", "classification", _POLARITY),
    )
    label_files = ("|".join((_MOSI_TABLE, _MOSEI_TABLE, *TABLES)),)
    media = (*VIDEO, *AUDIO)

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether one of the three label files is there."""
        return bool(matching(files, f"{_MOSI_TABLE}|{_MOSEI_TABLE}")) or table_of(folder, _is_video) is not None

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        notes.append("who speaks is not in the files: a speaker is known inside the video only")
        if files := find(folder, _MOSI_TABLE):
            return _mosi(folder, files[0], media)
        if files := find(folder, _MOSEI_TABLE):
            notes.append("the score is label7, which is rounded to whole numbers")
            return _mosei(folder, files[0], media)
        table = table_of(folder, _is_video)
        if table is None:
            raise DataError("there is no label file", corpus=folder.name, expected=self.layout)
        rows = opinion_rows(table, media)
        return [
            Row(**{**vars(row), "labels": {k: v for k, v in row.labels.items() if k in ("score", "polarity")}}) for row in rows
        ]


def _is_video(name: str) -> bool:
    return not is_sims(name)


def _mosi(folder: Path, file: Path, media: Media) -> Iterable[Row]:
    """Return the rows of a CSV without header: start, end, video, segment, score."""
    texts = {}
    for transcript in find(folder, "Transcript/Segmented/*.annotprocessed|Raw/Transcript/Segmented/*.annotprocessed"):
        for line in read_text(transcript).splitlines():
            segment, mark, text = line.partition("_DELIM_")
            if mark:
                texts[f"{transcript.stem}_{segment.strip()}"] = text.strip().capitalize()
    for cells in csv.reader(io.StringIO(read_text(file), newline="")):
        if len(cells) != 5:
            raise DataError(
                f"{file.name}: a line is malformed", expected="start, end, video, segment, score", found=f"{len(cells)} fields"
            )
        video, segment = cells[2].strip(), cells[3].strip()
        name = f"{video}_{segment}"
        score = number(file, cells[4].strip(), name)
        yield _row(name, video, whole(file, segment, name), None, score, text=texts.get(name), file=media.path(name))


def _mosei(folder: Path, file: Path, media: Media) -> Iterable[Row]:
    """Return the rows of a CSV with the columns file, index, start, end, label2a, label2b, label6, label7, split."""
    texts = {}
    for transcript in find(folder, "Transcript/Segmented/Combined/*.txt|Raw/Transcript/Segmented/Combined/*.txt"):
        for line in read_text(transcript).splitlines():
            if len(parts := line.split("___", 4)) == 5:
                texts[f"{parts[0]}_{parts[1]}"] = parts[4].strip()
    for row in read_rows(file, _MOSEI):
        name = f"{row['file']}_{row['index']}"
        if row["split"] not in _SPLITS:
            raise DataError(f"{file.name}: unknown split", utterance=name, expected="0, 1 or 2", found=row["split"])
        whole_video = media.find(row["file"])
        clip = media.find(name)
        cut = clip is None and whole_video is not None
        yield _row(
            name,
            row["file"],
            whole(file, row["index"], name),
            _SPLITS[row["split"]],
            number(file, row["label7"], name),
            text=texts.get(name),
            file=clip or whole_video or media.path(name),
            start=max(0.0, number(file, row["start"], name) or 0.0) if cut else 0.0,
            end=number(file, row["end"], name) if cut else None,
        )


def _row(
    name: str,
    video: str,
    turn: int,
    split: str | None,
    score: float | None,
    *,
    text: str | None,
    file: Path | None,
    start: float = 0.0,
    end: float | None = None,
) -> Row:
    polarity = None if score is None else _POLARITY[(score > 0) - (score < 0) + 1]
    labels = {"score": score, "polarity": polarity}
    speaker = f"{video}{LOCAL}speaker"
    return Row(name, video, turn, speaker, split, text=text or None, file=file, start=start, end=end, labels=labels)
