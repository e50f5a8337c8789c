"""What the tests of the fusion systems share: one corpus of sequences, and small models."""

from __future__ import annotations

import numpy as np
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import Recognizer, build, model_class
from standin import StandIn, generate

SETTINGS = StandIn(dialogues=6, turns=5, dims=(("text", 6), ("audio", 5), ("vision", 4)), frames=5)
CORPUS = generate(SETTINGS)
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)


def small(name: str, **settings: object) -> Recognizer:
    """An untrained model with the settings of ``tiny``."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return build(name, SCHEMA, **{**model_class(name).tiny, **settings}).eval()


def everything() -> Batch:
    """All utterances of the corpus, complete."""
    return collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)


def without(batch: Batch, *modalities: str) -> Batch:
    """The batch in which whole modalities are missing."""
    return batch.observe({m: torch.zeros_like(batch.present[m]) for m in modalities})


def prepared(name: str, task: str, **settings: object) -> tuple[Recognizer, Batch]:
    """A model for any task, prepared on all utterances of the corpus, and these utterances."""
    corpus = generate(SETTINGS, task)
    batch = collate(corpus, np.arange(len(corpus)), corpus.schema(), fit_statistics(corpus))
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, corpus.schema(), **{**model_class(name).tiny, **settings}).eval()
    model.prepare(lambda: [batch])
    return model, batch
