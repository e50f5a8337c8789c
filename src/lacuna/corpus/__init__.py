"""Corpora: their type, their format on disk, validation, importers, splits and batches.

Build a corpus with :func:`assemble` or :func:`lacuna.corpus.importers.import_corpus`, write it with :func:`save_corpus`, open it
with :func:`open_corpus`.
"""

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus, Frames, Utterances
from lacuna.corpus.schema import SPLITS, Modality, Provenance, Schema, Target
from lacuna.corpus.storage.format import CorpusWriter, open_corpus, save_corpus
from lacuna.corpus.validate import Violation, check, validate

__all__ = [
    "SPLITS",
    "Channel",
    "Corpus",
    "CorpusWriter",
    "Frames",
    "Modality",
    "Provenance",
    "Schema",
    "Target",
    "Utterances",
    "Violation",
    "assemble",
    "check",
    "open_corpus",
    "save_corpus",
    "validate",
]
