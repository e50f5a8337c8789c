"""A completed corpus in the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.datasets.base import NOT_SAVED
from lacuna.datasets.folder import FolderDataset
from lacuna.evaluation.recovery.export import MANIFEST, Completion, read_completion, write_completion

if TYPE_CHECKING:
    from kedro_datasets._typing import JSONPreview


class CompletionDataset(FolderDataset[Completion]):
    """A folder with a completed corpus and its arrays; :mod:`lacuna.evaluation.recovery.export` describes it."""

    manifest = MANIFEST

    def read(self, folder: Path) -> Completion:
        """Open the completed corpus."""
        return read_completion(folder)

    def write(self, content: Completion, folder: Path) -> None:
        """Write the corpus and its arrays, then the manifest."""
        write_completion(folder, content)

    def preview(self) -> JSONPreview:
        """Return the manifest, for Kedro-Viz."""
        if not self._exists():
            return json.dumps({"note": NOT_SAVED})
        manifest: JSONPreview = self._fs.cat_file(f"{self._path}/{self.manifest}").decode()
        return manifest
