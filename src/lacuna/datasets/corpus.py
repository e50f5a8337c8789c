"""Corpora in the catalog, whole or only some of their splits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.atomic import write_json
from lacuna.corpus import Corpus, check, open_corpus, save_corpus
from lacuna.corpus.storage.format import MANIFEST
from lacuna.datasets.base import NOT_SAVED
from lacuna.datasets.folder import FolderDataset

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview

_NO_RECORDINGS = "The corpus does not come from recordings."


def preview_of(corpus: Corpus, nrows: int) -> TablePreview:
    """Return the first utterances of a corpus, for Kedro-Viz."""
    ids, texts = corpus.utterances.id[:nrows].to_pylist(), corpus.transcripts[:nrows]
    have = {m.name: corpus.frames[m.name].count[:nrows].tolist() for m in corpus.modalities}
    columns = ["utterance", "text", *(f"frames of {m}" for m in have)]
    rows = [[i, t, *(have[m][row] for m in have)] for row, (i, t) in enumerate(zip(ids, texts, strict=True))]
    return {"index": list(range(len(rows))), "columns": columns, "data": rows}


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
        return preview_of(self.load(), nrows)

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "splits": self._splits}


class ExtractedDataset(FolderDataset[list[Corpus]]):
    """The corpus of recordings, or nothing: a list with at most one corpus. What was never saved is loaded as nothing."""

    manifest = "extracted.json"

    def load(self) -> list[Corpus]:
        """Open the corpus, if there is one."""
        return super().load() if self._exists() else []

    def read(self, folder: Path) -> list[Corpus]:
        """Open the corpus, if the manifest counts one."""
        count = json.loads((folder / self.manifest).read_text("utf-8"))["corpora"]
        return [open_corpus(folder / "corpus", verify=True)] if count else []

    def write(self, content: list[Corpus], folder: Path) -> None:
        """Write the corpus, if there is one, and then the manifest."""
        for corpus in content:
            save_corpus(corpus, folder / "corpus")
        write_json(folder / self.manifest, {"corpora": len(content)})

    def preview(self, nrows: int = 8) -> TablePreview:
        """Return the first utterances, for Kedro-Viz."""
        corpora = self.load()
        return preview_of(corpora[0], nrows) if corpora else {"index": [0], "columns": ["note"], "data": [[_NO_RECORDINGS]]}


class CorpusValidator:
    """Catalog ``validator:`` that refuses a corpus which breaks a rule of :mod:`lacuna.corpus.validate`."""

    def validate(self, data: Corpus) -> Corpus:
        """Return the corpus, or raise :class:`lacuna.errors.DataError` before anything is written."""
        return check(data)
