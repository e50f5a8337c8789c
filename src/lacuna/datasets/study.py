"""The page of a study in the catalog: one HTML file for each study of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import DatasetError

from lacuna.atomic import write_text
from lacuna.datasets.base import PlacedDataset
from lacuna.reporting.study.page import StudyPage, render_study

if TYPE_CHECKING:
    from kedro_datasets._typing import HTMLPreview


class StudyDataset(PlacedDataset[StudyPage]):
    """A folder of pages, ``<study>.html``; the page that was saved last is also the input of the next nodes.

    Args:
        environment: name of the environment with the best settings, which the page shows.
        arguments: as for :class:`lacuna.datasets.base.PlacedDataset`.
    """

    def __init__(self, *, environment: str = "", **arguments: Any) -> None:
        super().__init__(**arguments)
        self._environment = environment
        self._saved: StudyPage | None = None

    @property
    def entry(self) -> str:
        """Return the file to open."""
        return self._path if self._saved is None else f"{self._path}/{self._saved.facts.name}.html"

    def load(self) -> StudyPage:
        """Return what this run saved.

        Raises:
            DatasetError: this run has saved nothing; a page cannot be read back.
        """
        if self._saved is None:
            raise DatasetError("a page cannot be read back: run all of `kedro run --pipelines tune`, which continues the study")
        return self._saved

    def save(self, data: StudyPage) -> None:
        """Write the page in one step."""
        write_text(Path(self._path) / f"{data.facts.name}.html", render_study(data, self._environment))
        self._saved = data

    def _exists(self) -> bool:
        return self._saved is not None

    def preview(self) -> HTMLPreview:
        """Return the page that was written last, for Kedro-Viz."""
        pages = sorted(Path(self._path).glob("*.html"), key=lambda path: path.stat().st_mtime)
        page: HTMLPreview = pages[-1].read_text("utf-8") if pages else ""
        return page
