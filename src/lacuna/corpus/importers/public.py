"""Public corpora of signals as people download them, see :mod:`lacuna.corpus.adapters`: each sensor is a modality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lacuna.corpus.adapters.base import adapter_of, read_folder
from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.sources import provenance
from lacuna.corpus.repair import Policy
from lacuna.errors import DataError


@dataclass(frozen=True)
class PublicOptions(Options):
    """Options of ``public``.

    Attributes:
        nonfinite: what to do with NaN and inf in the signals, see :func:`lacuna.corpus.repair.repair`.
    """

    nonfinite: Policy = "refuse"


@register("public", reads="a public corpus of physiological signals as downloaded, e.g. WESAD's folders S2 to S17")
class Public(Importer[PublicOptions]):
    """See the module; corpora of recordings and transcripts are read by ``lacuna features``."""

    Options = PublicOptions

    def recognise(self, path: Path) -> Recognition | None:
        """See the base class."""
        adapter = adapter_of(path)
        return Recognition(f"{adapter.title}, {adapter.layout}") if adapter and adapter.signals else None

    def load(self, path: Path, *, name: str, options: PublicOptions) -> Corpus:
        """See the base class."""
        annotations = read_folder(path)
        adapter, rows = annotations.adapter, annotations.rows
        if not adapter.signals:
            raise DataError(f"{adapter.title} holds recordings", corpus=name, hint=f"run: lacuna features {path} --out FOLDER")
        sensors = sorted({sensor for row in rows for sensor in row.signals})
        return assemble(
            name,
            ids=[row.id for row in rows],
            dialogues=[row.dialogue for row in rows],
            turns=[row.turn for row in rows],
            channels={s: Channel([row.signals.get(s) for row in rows], f"adapter '{adapter.name}'") for s in sensors},
            targets=annotations.targets,
            labels=dict(annotations.labels()),
            splits=[row.split for row in rows],
            speakers=[row.speaker for row in rows],
            provenance=provenance(self.name, path, annotations.files, licence=adapter.licence, notes=annotations.notes),
            nonfinite=options.nonfinite,
        )
