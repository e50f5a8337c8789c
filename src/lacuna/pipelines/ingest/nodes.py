"""From a source to a corpus with its splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from lacuna.loading import load_corpus, with_splits
from lacuna.pipelines.parameters import Features, Ingest


def read_source(ingest: Ingest, features: Features, extracted: Sequence[Corpus]) -> Corpus:
    """Import (or generate) the corpus, or take that of the recordings, and give it the splits that the parameters ask for.

    Args:
        ingest: the source and the rule of the splits.
        features: the recordings; without a path the corpus does not come from recordings.
        extracted: the corpus of the recordings, or nothing.

    Raises:
        ConfigError: both recordings and another source are named.
        DataError: the features of the recordings are not there, or the source cannot be read.
    """
    if features.path is not None:
        if ingest.path is not None:
            raise ConfigError("the corpus has two sources, features.path and ingest.path; leave one of them out")
        if not extracted:
            raise DataError("the recordings are not encoded yet", hint="run the pipeline `features` before `ingest`")
        rule = {key: getattr(ingest, key) for key in ("split", "valid_share", "folds", "test_fold", "test_speakers", "seed")}
        return with_splits(replace(extracted[0], name=ingest.name, digest=None, place=None), **rule)
    generator, settings = ("duet", ingest.duet) if ingest.wrist is None else ("wrist", ingest.wrist)
    return load_corpus(
        generator if ingest.path is None else ingest.path,
        preset=settings.preset,
        importer=ingest.importer,
        name=ingest.name,
        options=settings.changes if ingest.path is None else ingest.options,
        encode=ingest.encode,
        split=ingest.split,
        valid_share=ingest.valid_share,
        folds=ingest.folds,
        test_fold=ingest.test_fold,
        test_speakers=ingest.test_speakers,
        seed=ingest.seed,
        thin=None if ingest.thin is None else ingest.thin.model_dump(),
    )
