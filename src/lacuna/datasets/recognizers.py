"""Trained recognisers in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.datasets.base import NOT_SAVED
from lacuna.datasets.folder import FolderDataset
from lacuna.training.trained import INDEX, TrainedRecognizer, load_recognizers, save_recognizers

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


class RecognizersDataset(FolderDataset[list[TrainedRecognizer]]):
    """A folder of trained recognisers and an index of those that belong to the last run."""

    manifest = INDEX

    def read(self, folder: Path) -> list[TrainedRecognizer]:
        """Load every recogniser of the index, in its order."""
        return load_recognizers(folder)

    def write(self, content: list[TrainedRecognizer], folder: Path) -> None:
        """Save every recogniser, then the index."""
        save_recognizers(content, folder)

    def preview(self) -> TablePreview:
        """Return the recognisers and their values on validation, for Kedro-Viz."""
        if not self._exists():
            return {"index": [0], "columns": ["note"], "data": [[NOT_SAVED]]}
        columns = ["model", "registered name", "seed", "metric on validation", "value", "epoch", "parameters"]
        rows = []
        for one in self.load():
            chosen = one.selection
            row = [one.variant, one.name, one.seed, chosen.metric, round(chosen.value, 4), chosen.epoch + 1, chosen.parameters]
            rows.append(row)
        table: TablePreview = {"index": list(range(len(rows))), "columns": columns, "data": rows}
        return table
