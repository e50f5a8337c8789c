"""Label a corpus with whatever of it is there."""

from __future__ import annotations

import logging

import pandas as pd

from lacuna.corpus import Corpus, open_corpus
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.storage.format import MANIFEST
from lacuna.errors import ConfigError
from lacuna.evaluation import predict as answer
from lacuna.pipelines.parameters import BEST, Predict
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

logger = logging.getLogger(__name__)


def label_corpus(recognizers: list[TrainedRecognizer], predict: Predict) -> pd.DataFrame:
    """Answer every utterance of a corpus folder, labelled or not.

    Args:
        recognizers: those of the last training run.
        predict: which corpus and which model.

    Returns:
        One row an utterance: id, dialogue, turn, answer, confidence, a probability a class, what was absent, model and seed.
    """
    corpus = _read(predict)
    trained = _choose(recognizers, predict.model)
    corpus.require(trained.schema)
    if unknown := [m.name for m in corpus.modalities if m.name not in trained.schema.dims]:
        logger.warning("%s does not know %s: not looked at", trained.variant, ", ".join(unknown))
    if absent := [name for name in trained.schema.dims if name not in corpus.frames]:
        logger.info("absent from the whole corpus: %s", ", ".join(absent))
    with reproducible(predict.threads):
        predictions = answer(trained, corpus, batch_size=predict.batch_size, device=pick_device(predict.device))
    table = predictions.to_frame()
    dialogues = corpus.utterances.dialogue_names.to_pylist()
    table.insert(1, "dialogue", [dialogues[d] for d in corpus.utterances.dialogue])
    table.insert(2, "turn", corpus.utterances.turn)
    names = predictions.modalities
    table["absent"] = ["+".join(n for n, there in zip(names, row, strict=True) if not there) for row in predictions.available]
    return table.drop(columns=[f"has_{n}" for n in names]).assign(model=trained.variant, seed=trained.seed)


def _read(predict: Predict) -> Corpus:
    if (predict.path / MANIFEST).is_file():
        return open_corpus(predict.path, verify=True)
    return import_corpus(predict.path, importer=predict.importer, **predict.options)


def _choose(recognizers: list[TrainedRecognizer], variant: str) -> TrainedRecognizer:
    """The best on validation, of all or of those with one variant."""
    among = [r for r in recognizers if variant in (BEST, r.variant)]
    if not among:
        known = ", ".join(dict.fromkeys(r.variant for r in recognizers))
        raise ConfigError(f"predict.model: there is no trained '{variant}'; trained are: {known}; or '{BEST}'")
    return max(among, key=lambda r: r.selection.value)
