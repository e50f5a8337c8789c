"""What the ood pipeline keeps: id lists of a repartition, and its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kedro.io.core import DatasetError

from lacuna.datasets.files import AtomicFileDataset
from lacuna.datasets.folder import FolderDataset
from lacuna.errors import DataError
from lacuna.reporting.shift.facts import OodReport
from lacuna.reporting.shift.page import PAGE, write_ood_report
from lacuna.shift import Repartition

if TYPE_CHECKING:
    from kedro_datasets._typing import HTMLPreview, JSONPreview


class RepartitionDataset(AtomicFileDataset[Repartition]):
    """Id lists with what was measured of them, as JSON."""

    def encode(self, data: Repartition) -> bytes:
        """UTF-8 JSON."""
        return json.dumps(data.to_json(), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def decode(self, content: bytes) -> Repartition:
        """The id lists, checked."""
        try:
            values = json.loads(content)
        except ValueError as error:
            raise DataError(
                "the file is not JSON",
                corpus=self._filepath,
                found=str(error),
                hint="split the corpus again: kedro run --pipelines ood",
            ) from None
        return Repartition.from_json(values, self._filepath)

    def preview(self) -> JSONPreview:
        """What was measured, without the ids, for Kedro-Viz."""
        made = self.load().to_json()
        made["parts"] = {part: len(ids) for part, ids in made["parts"].items()}
        return json.dumps(made)


class OodReportDataset(FolderDataset[OodReport]):
    """``ood.html``, ``results.md`` and tables in three formats."""

    manifest = PAGE

    @property
    def entry(self) -> str:
        """Return the file to open."""
        return f"{self._path}/{self.manifest}"

    def read(self, folder: Path) -> NoReturn:
        """Refuse: a report is not read back."""
        raise DatasetError(f"a report is not read back: open '{folder.name}/{self.manifest}', or load the tables behind it")

    def write(self, content: OodReport, folder: Path) -> None:
        """Write every file, the page last."""
        write_ood_report(folder, content)

    def preview(self) -> HTMLPreview:
        """Return the page, for Kedro-Viz."""
        page: HTMLPreview = (Path(self._path) / self.manifest).read_text("utf-8")
        return page
