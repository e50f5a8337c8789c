"""A Kedro dataset that is a folder with a manifest written last, on any file system."""

from __future__ import annotations

import atexit
import shutil
from abc import abstractmethod
from pathlib import Path, PurePosixPath

from kedro.io.core import DatasetError

from lacuna.atomic import make_scratch, scratch_folder
from lacuna.datasets.base import PlacedDataset, T


class FolderDataset(PlacedDataset[T]):
    """Base of datasets whose content is a folder and whose validity is one manifest file in it.

    Local folders are used in place, so that what can be memory-mapped is. On other file systems a load copies the folder
    to a temporary one and a save uploads the manifest after everything else.
    """

    manifest: str

    @abstractmethod
    def read(self, folder: Path) -> T:
        """Load the content from a local folder."""

    @abstractmethod
    def write(self, content: T, folder: Path) -> None:
        """Save the content to a local folder, manifest last."""

    def load(self) -> T:
        """Load the content.

        Raises:
            DatasetError: nothing was saved there, or it is damaged.
        """
        if not self._exists():
            raise DatasetError(
                f"nothing was saved at '{self._filepath}' yet: run the pipeline that makes it, or all of `kedro run`"
            )
        if self._protocol == "file":
            return self.read(Path(self._path))
        copy = make_scratch()
        atexit.register(shutil.rmtree, copy, ignore_errors=True)  # what was loaded may read from it until the very end
        self._fs.get(f"{self._path.rstrip('/')}/", f"{copy}/", recursive=True)
        return self.read(copy)

    def save(self, data: T) -> None:
        """Save the content; until the manifest is replaced, a reader sees what was there before."""
        if self._protocol == "file":
            self.write(data, Path(self._path))
            return
        with scratch_folder() as scratch:
            self.write(data, scratch)
            files = sorted(p for p in scratch.rglob("*") if p.is_file())
            for file in sorted(files, key=lambda p: p == scratch / self.manifest):
                target = PurePosixPath(self._path) / file.relative_to(scratch).as_posix()
                self._fs.makedirs(str(target.parent), exist_ok=True)
                self._fs.put_file(str(file), str(target))

    def _exists(self) -> bool:
        return bool(self._fs.exists(str(PurePosixPath(self._path) / self.manifest)))
