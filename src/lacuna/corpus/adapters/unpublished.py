"""MMME and Headset: corpora whose folders nobody has described yet, read from a table of our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import VIDEO, Media, find, read_rows
from lacuna.corpus.adapters.splits import split_of_person
from lacuna.corpus.importers.sources import read_npy
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_COLUMNS = ("id", "subject", "emotion")


class _Described(Adapter):
    """Reads ``<name>.csv`` with the columns id, subject, emotion, clips called after the id, and signals."""

    unverified = "everything: no description of the folder is public; the table and the names are our own"
    sensors: ClassVar[tuple[str, ...]] = ()
    media: ClassVar[tuple[str, ...]] = VIDEO
    splits = "none official; here by subject: 60 % train, 20 % valid, 20 % test"

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        rows = read_rows(find(folder, self.label_files[0])[0], _COLUMNS)
        media = Media(folder, self.media)
        split = split_of_person(row["subject"] for row in rows)
        for turn, row in enumerate(rows):
            recorded = {sensor: folder / sensor / f"{row['id']}.npy" for sensor in self.sensors}
            signals = {sensor: np.asarray(read_npy(file)) for sensor, file in recorded.items() if file.is_file()}
            if wrong := [sensor for sensor, values in signals.items() if values.ndim != 2 or values.dtype.kind not in "fiu"]:
                raise DataError(
                    "a signal is malformed", utterance=row["id"], modality=wrong[0], expected="(frames, width) numbers"
                )
            yield Row(
                row["id"],
                row["subject"],
                turn,
                speaker=f"subject-{row['subject']}",
                split=split[row["subject"]],
                file=None if self.signals else media.path(row["id"]),
                labels={"emotion": row["emotion"].lower() or None},
                signals=signals,
            )
        notes.append("the layout is our own, because no description of the corpus's folder is public")

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the target with the classes that occur."""
        words = sorted({str(row.labels["emotion"]) for row in rows if row.labels["emotion"]})
        return (Target("emotion", "classification", tuple(words)),)


@register_adapter("mmme")
class Mmme(_Described):
    """Reads physiological signals of micro- and macro-expressions."""

    title = "MMME"
    licence = "promised by the authors; not published when this was written"
    where = "the authors of arXiv 2506.09834"
    paper = "MMME: A Spontaneous Multi-Modal Micro-Expression Dataset Enabling Visual-Physiological Fusion, 2025"
    language = "none (no transcripts)"
    published = "2,890 trials with 634 micro- and 2,841 macro-expressions"
    layout = "mmme.csv (id, subject, emotion); eeg/<id>.npy, ppg/, rsp/, skt/, eda/, ecg/ with (frames, width) numbers"
    targets = (Target("emotion", "classification", ("happiness", "surprise", "sadness", "fear", "anger", "disgust", "other")),)
    label_files = ("mmme.csv",)
    sensors = ("eeg", "ppg", "rsp", "skt", "eda", "ecg")
    media = ()
    signals = True


@register_adapter("headset")
class Headset(_Described):
    """Reads posed expressions from the videos of one camera."""

    title = "HEADSET"
    licence = "licence form of the authors"
    where = "the authors of arXiv 2402.09107 (licence form)"
    paper = "Lohesara et al., HEADSET: Human Emotion Awareness under Partial Occlusions Multimodal Dataset, IEEE TVCG 2023"
    language = "none (no transcripts)"
    layout = "headset.csv (id, subject, emotion); <id>.mp4"
    targets = (Target("emotion", "classification", ("neutral", "happiness", "sadness", "fear", "anger", "disgust", "surprise")),)
    label_files = ("headset.csv",)
