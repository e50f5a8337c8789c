"""From a source to a checked, split corpus."""

from __future__ import annotations

from typing import Any

import numpy as np

from lacuna.corpus import SPLITS, Corpus
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.splits import carve_valid, fold
from lacuna.pipelines.parameters import Ingest
from lacuna.synthetic.duet import generate, preset


def read_source(ingest: Ingest) -> Corpus:
    """Import (or generate) the corpus and give it the splits that the parameters ask for."""
    if ingest.path is None:
        corpus = generate(preset(ingest.duet.preset, **ingest.duet.changes))
    else:
        corpus = import_corpus(ingest.path, importer=ingest.importer, name=ingest.name, **ingest.options)
    if ingest.split == "carve":
        return carve_valid(corpus, ingest.valid_share, ingest.seed)
    if ingest.split == "fold":
        return fold(corpus, ingest.folds, ingest.test_fold, ingest.seed)
    return corpus


def tell_facts(corpus: Corpus) -> dict[str, Any]:
    """What a reader of the report should know of the corpus: sizes, classes and absences by split."""
    u = corpus.utterances
    splits = {name: code for code, name in enumerate(SPLITS) if (u.split == code).any()}
    classes = {
        t.name: {
            name: np.bincount(u.labels[t.name][(u.split == code) & corpus.labelled(t.name)], minlength=len(t.classes)).tolist()
            for name, code in splits.items()
        }
        for t in corpus.targets
        if t.task == "classification"
    }
    return {
        "name": corpus.name,
        "digest": corpus.digest or "",
        "utterances": {name: int((u.split == code).sum()) for name, code in splits.items()},
        "dialogues": {name: len(np.unique(u.dialogue[u.split == code])) for name, code in splits.items()},
        "modalities": {m.name: {"dim": m.dim, "extractor": m.extractor} for m in corpus.modalities},
        "targets": {t.name: {"task": t.task, "classes": list(t.classes)} for t in corpus.targets},
        "class_counts": classes,
        "absences": {m: dict(counts) for m, counts in corpus.absences().items()},
        "source": corpus.provenance.source,
        "importer": corpus.provenance.importer,
        "licence": corpus.provenance.licence,
        "files": corpus.provenance.files,
        "notes": list(corpus.provenance.notes),
    }
