"""The report in the catalog: a folder that is written, and never read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kedro.io.core import DatasetError

from lacuna.datasets.folder import FolderDataset
from lacuna.reporting import Report, write_report

if TYPE_CHECKING:
    from kedro_datasets._typing import HTMLPreview


class ReportDataset(FolderDataset[Report]):
    """``report.html``, ``results.md``, tables in three formats and model cards."""

    manifest = "report.html"

    @property
    def entry(self) -> str:
        """Return the file to open."""
        return f"{self._path}/{self.manifest}"

    def read(self, folder: Path) -> NoReturn:
        """Refuse: a report is not read back."""
        raise DatasetError(f"a report is not read back: open '{folder.name}/{self.manifest}', or load the tables behind it")

    def write(self, content: Report, folder: Path) -> None:
        """Write every file, the page last."""
        write_report(folder, content)

    def preview(self) -> HTMLPreview:
        """Return the page, for Kedro-Viz."""
        page: HTMLPreview = (Path(self._path) / self.manifest).read_text("utf-8")
        return page
