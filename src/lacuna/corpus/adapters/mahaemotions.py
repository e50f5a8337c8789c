"""L3Cube-MahaEmotions: ``train.csv``, ``validation.csv`` and ``test.csv``, text only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import read_rows
from lacuna.corpus.importers.sources import first_line
from lacuna.corpus.schema import Target

_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_CLASSES = (
    "happiness",
    "sadness",
    "respect",
    "anger",
    "fear",
    "surprise",
    "disgust",
    "excitement",
    "pride",
    "sarcasm",
    "neutral",
)
_JOINED = "anger/disgust"


@register_adapter("mahaemotions")
class MahaEmotions(Adapter):
    """Reads sentences and one of eleven emotions, or ten where anger and disgust are one class."""

    title = "L3Cube-MahaEmotions"
    licence = "not stated in the folder; see the repository"
    where = "https://github.com/l3cube-pune/MarathiNLP (folder L3Cube-MahaEmotions)"
    paper = "Kowtal and Joshi, L3Cube-MahaEmotions: A Marathi Emotion Recognition Dataset, 2025"
    language = "Marathi"
    layout = "train.csv, validation.csv, test.csv with the columns Tweet, Label"
    splits = "official: train (labels by a language model), validation (valid) and test (labels by people)"
    published = "train 12,000, validation 1,500, test 1,500 sentences"
    verified = "the CSVs of the official repository"
    targets = (Target("emotion", "classification", _CLASSES),)
    label_files = ("train.csv", "validation.csv", "test.csv")

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether the three CSVs lie in the folder itself and have the columns."""
        return set(self.label_files) <= set(files) and first_line(folder / "train.csv").replace(" ", "") == "Tweet,Label"

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        for name, split in _SPLITS.items():
            for position, row in enumerate(read_rows(folder / f"{name}.csv", ("Tweet", "Label"))):
                words = row["Label"].lower() or None
                yield Row(
                    f"{split}_{position}", f"{split}_{position}", 0, split=split, text=row["Tweet"], labels={"emotion": words}
                )
        notes.append("the training labels were made by a language model, those of valid and test by people")

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the target; in the main folder anger and disgust are one class."""
        if not any(row.labels["emotion"] == _JOINED for row in rows):
            return self.targets
        return (Target("emotion", "classification", tuple(_JOINED if c == "anger" else c for c in _CLASSES if c != "disgust")),)
