"""Corpora in the catalog, whole or only some of their splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.corpus import Corpus, check, open_corpus, save_corpus
from lacuna.corpus.storage.format import MANIFEST
from lacuna.datasets.base import NOT_SAVED
from lacuna.datasets.folder import FolderDataset

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


class CorpusDataset(FolderDataset[Corpus]):
    """A corpus in Lacuna's format, opened memory-mapped.

    Args:
        splits: what a load may see; ``None`` = everything. The training pipeline reads an entry that sees ``train`` and
            ``valid`` only, so test labels are out of its reach.
        arguments: as for :class:`lacuna.datasets.base.PlacedDataset`.
    """

    manifest = MANIFEST

    def __init__(self, *, splits: list[str] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._splits = splits
        self._verified = ""  # the manifest whose files were found whole by this entry

    def read(self, folder: Path) -> Corpus:
        """Open the corpus, compare its files with their hashes the first time, and keep the allowed splits."""
        manifest = (folder / MANIFEST).read_text("utf-8")
        corpus = open_corpus(folder, verify=manifest != self._verified)
        self._verified = manifest
        return corpus if self._splits is None else corpus.only(*self._splits)

    def write(self, content: Corpus, folder: Path) -> None:
        """Write a whole corpus; an entry that sees only some splits cannot be written to."""
        if self._splits is not None:
            raise ValueError("this catalog entry sees some splits only: save the whole corpus through the entry without `splits`")
        save_corpus(content, folder)

    def preview(self, nrows: int = 8) -> TablePreview:
        """Return the first utterances, for Kedro-Viz."""
        if not self._exists():
            return {"index": [0], "columns": ["note"], "data": [[NOT_SAVED]]}
        corpus = self.load()
        ids, texts = corpus.utterances.id[:nrows].to_pylist(), corpus.transcripts[:nrows]
        have = {m.name: corpus.frames[m.name].count[:nrows].tolist() for m in corpus.modalities}
        columns = ["utterance", "text", *(f"frames of {m}" for m in have)]
        rows = [[i, t, *(have[m][row] for m in have)] for row, (i, t) in enumerate(zip(ids, texts, strict=True))]
        return {"index": list(range(len(rows))), "columns": columns, "data": rows}

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "splits": self._splits}


class CorpusValidator:
    """Catalog ``validator:`` that refuses a corpus which breaks a rule of :mod:`lacuna.corpus.validate`."""

    def validate(self, data: Corpus) -> Corpus:
        """Return the corpus, or raise :class:`lacuna.errors.DataError` before anything is written."""
        return check(data)
