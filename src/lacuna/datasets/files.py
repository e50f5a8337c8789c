"""Single files saved atomically: tables, tensors, figures and JSON."""

from __future__ import annotations

import io
import json
import os
import secrets
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
from kedro.io.core import DatasetError
from numpy.typing import NDArray
from safetensors.numpy import load, save

from lacuna.atomic import write_bytes
from lacuna.datasets.base import NOT_SAVED, PlacedDataset, T
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes, sweeps_to_bytes
from lacuna.evaluation.sweep import Sweep
from lacuna.text import csv_blocks, original_frame

if TYPE_CHECKING:
    from kedro_datasets._typing import JSONPreview, PlotlyPreview, TablePreview


class AtomicFileDataset(PlacedDataset[T]):
    """Base of datasets of one file: encoded in memory first, then put in place in one step.

    Kedro's own datasets open the target for writing first, so a failed save leaves half a file and no old one.
    """

    @abstractmethod
    def encode(self, data: T) -> bytes:
        """Return the content of the file."""

    @abstractmethod
    def decode(self, content: bytes) -> T:
        """Return what :meth:`encode` encoded."""

    def load(self) -> T:
        """Read the file.

        Raises:
            DatasetError: it is not there.
        """
        if not self._exists():
            raise DatasetError(
                f"nothing was saved at '{self._filepath}' yet: run the pipeline that makes it, or all of `kedro run`"
            )
        return self.decode(self._fs.cat_file(self._path))

    def save(self, data: T) -> None:
        """Write the file whole, or leave the old one as it was."""
        content = self.encode(data)
        if self._protocol == "file":
            write_bytes(Path(self._path), content)
            return
        folder = PurePosixPath(self._path).parent
        self._fs.makedirs(str(folder), exist_ok=True)
        temporary = f"{folder}/.partial-{os.getpid()}-{secrets.token_hex(4)}"
        self._fs.pipe_file(temporary, content)
        self._fs.mv(temporary, self._path)

    def _exists(self) -> bool:
        return bool(self._fs.exists(self._path))


class TableDataset(AtomicFileDataset[pd.DataFrame]):
    """A pandas table as parquet, or as CSV if the path ends so."""

    def encode(self, data: pd.DataFrame) -> bytes:
        """Return parquet bytes, or UTF-8 CSV."""
        if self._path.endswith(".csv"):
            return b"".join(csv_blocks(data))
        buffer = io.BytesIO()
        data.to_parquet(buffer, index=False)
        return buffer.getvalue()

    def decode(self, content: bytes) -> pd.DataFrame:
        """Return the table."""
        source = io.BytesIO(content)
        if not self._path.endswith(".csv"):
            return pd.read_parquet(source)
        return original_frame(pd.read_csv(source, keep_default_na=False, na_values=[""]))

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows, for Kedro-Viz."""
        rows = self.load().head(nrows) if self._exists() else pd.DataFrame({"note": [NOT_SAVED]})
        table: dict[str, Any] = json.loads(rows.to_json(orient="split"))
        return table


class TensorsDataset(AtomicFileDataset[dict[str, NDArray[np.float32]]]):
    """Named arrays as safetensors."""

    def encode(self, data: dict[str, NDArray[np.float32]]) -> bytes:
        """Return safetensors bytes."""
        return bytes(save({name: np.ascontiguousarray(values) for name, values in data.items()}))

    def decode(self, content: bytes) -> dict[str, NDArray[np.float32]]:
        """Return the arrays."""
        arrays: dict[str, NDArray[np.float32]] = load(content)
        return arrays

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return names, shapes and ranges of the first arrays, for Kedro-Viz."""
        if not self._exists():
            return {"index": [0], "columns": ["note"], "data": [[NOT_SAVED]]}
        rows = [
            [name, " x ".join(map(str, values.shape)), f"{values.min():.4g}", f"{values.mean():.4g}", f"{values.max():.4g}"]
            for name, values in [*self.load().items()][:nrows]
            if values.size
        ]
        return {"index": list(range(len(rows))), "columns": ["array", "shape", "least", "mean", "largest"], "data": rows}


class JSONDataset(AtomicFileDataset[dict[str, Any]]):
    """Plain values as strict JSON."""

    def encode(self, data: dict[str, Any]) -> bytes:
        """Return UTF-8 JSON; a NaN is refused."""
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def decode(self, content: bytes) -> dict[str, Any]:
        """Return the values."""
        values: dict[str, Any] = json.loads(content)
        return values

    def preview(self) -> JSONPreview:
        """Return the text, for Kedro-Viz."""
        return json.dumps(self.load() if self._exists() else {"note": NOT_SAVED})


class FigureDataset(AtomicFileDataset[go.Figure]):
    """A Plotly figure as JSON."""

    def encode(self, data: go.Figure) -> bytes:
        """Return UTF-8 JSON."""
        return str(data.to_json()).encode()

    def decode(self, content: bytes) -> go.Figure:
        """Return the figure."""
        return plotly.io.from_json(content.decode())

    def preview(self) -> PlotlyPreview:
        """Return the figure, for Kedro-Viz."""
        empty = {"data": [], "layout": {"title": {"text": NOT_SAVED}}}
        figure: PlotlyPreview = json.loads(self._fs.cat_file(self._path)) if self._exists() else empty
        return figure


class SweepsDataset(AtomicFileDataset[list[Sweep]]):
    """Counts of sweeps as safetensors, with which `lacuna runs compare` pairs two runs."""

    def encode(self, data: list[Sweep]) -> bytes:
        """Return safetensors bytes."""
        return sweeps_to_bytes(data)

    def decode(self, content: bytes) -> list[Sweep]:
        """Return the sweeps."""
        return list(sweeps_from_bytes(content, self._path))

    def preview(self) -> JSONPreview:
        """Return models, seeds and the number of conditions, for Kedro-Viz."""
        if not self._exists():
            return json.dumps({"note": NOT_SAVED})
        return json.dumps([{"model": s.model, "seed": s.seed, "conditions": len(s.conditions)} for s in self.load()])
