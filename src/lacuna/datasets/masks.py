"""Masks in the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.datasets.base import NOT_SAVED
from lacuna.datasets.files import AtomicFileDataset
from lacuna.missing import MaskFile, decode_masks, encode_masks
from lacuna.reporting.masks import mask_table

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


class MasksDataset(AtomicFileDataset[MaskFile]):
    """The masks of a split as one safetensors file; :mod:`lacuna.missing.files` describes it."""

    def encode(self, data: MaskFile) -> bytes:
        """Return the content of the file."""
        return encode_masks(data)

    def decode(self, content: bytes) -> MaskFile:
        """Return the masks."""
        return decode_masks(content, Path(self._path).name)

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first masks with their measured rates, for Kedro-Viz."""
        if not self._exists():
            return {"index": [0], "columns": ["note"], "data": [[NOT_SAVED]]}
        table: dict[str, Any] = json.loads(mask_table(self.load()).head(nrows).to_json(orient="split"))
        return table
