"""Trained recognisers in the catalog."""

from __future__ import annotations

import json
from pathlib import Path

from lacuna.atomic import write_json
from lacuna.datasets.folder import FolderDataset
from lacuna.training.trained import TrainedRecognizer, load_recognizer, save_recognizer


class RecognizersDataset(FolderDataset[list[TrainedRecognizer]]):
    """A folder of trained recognisers, ``<model>/seed-<seed>/``, and an index of those that belong to the last run."""

    manifest = "recognizers.json"

    def read(self, folder: Path) -> list[TrainedRecognizer]:
        """Load every recogniser of the index, in its order."""
        return [load_recognizer(folder / name) for name in json.loads((folder / self.manifest).read_text("utf-8"))]

    def write(self, content: list[TrainedRecognizer], folder: Path) -> None:
        """Save every recogniser, then the index."""
        names = [f"{trained.name}/seed-{trained.seed}" for trained in content]
        for name, trained in zip(names, content, strict=True):
            save_recognizer(trained, folder / name)
        write_json(folder / self.manifest, names)
