"""What our Kedro datasets share: a place on any fsspec file system."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import fsspec
from kedro.io.core import AbstractDataset, get_protocol_and_path

T = TypeVar("T")
NOT_SAVED = "Not saved yet: run the pipeline that writes it."  # what Kedro-Viz shows in place of a preview


class PlacedDataset(AbstractDataset[T, T], Generic[T]):
    """Base of datasets that live somewhere.

    Args:
        filepath: local path or any fsspec URL.
        credentials: passed to the file system.
        fs_args: passed to the file system.
        metadata: for plugins such as Kedro-Viz; not used here.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.metadata = metadata
        self._filepath = filepath
        self._protocol, self._path = get_protocol_and_path(filepath)
        self._fs = fsspec.filesystem(self._protocol, **(fs_args or {}), **(credentials or {}))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol}
