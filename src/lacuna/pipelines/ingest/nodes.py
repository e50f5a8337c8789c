"""From a source to a corpus with its splits."""

from __future__ import annotations

from lacuna.corpus import Corpus
from lacuna.loading import GENERATED, load_corpus
from lacuna.pipelines.parameters import Ingest


def read_source(ingest: Ingest) -> Corpus:
    """Import (or generate) the corpus and give it the splits that the parameters ask for."""
    generated = ingest.path is None
    return load_corpus(
        GENERATED if ingest.path is None else ingest.path,
        preset=ingest.duet.preset,
        importer=ingest.importer,
        name=ingest.name,
        options=ingest.duet.changes if generated else ingest.options,
        encode=ingest.encode,
        split=ingest.split,
        valid_share=ingest.valid_share,
        folds=ingest.folds,
        test_fold=ingest.test_fold,
        seed=ingest.seed,
        thin=None if ingest.thin is None else ingest.thin.model_dump(),
    )
