"""Predict the labels of a corpus, whichever modalities it has."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from lacuna.errors import ConfigError, suggestion
from lacuna.evaluation import predict_frame
from lacuna.evaluation.prediction_table import prediction_notes
from lacuna.loading import load_corpus, reads_recordings
from lacuna.pipelines.parameters import BEST, Predict
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device

logger = logging.getLogger(__name__)


def label_corpus(recognizers: list[TrainedRecognizer], predict: Predict) -> pd.DataFrame:
    """Return the prediction for every utterance of a corpus, labelled or not.

    Args:
        recognizers: those of the last training run.
        predict: which corpus and which model.

    Returns:
        One row for each utterance; :func:`lacuna.evaluation.predict_frame` explains the columns.
    """
    trained = _choose(recognizers, predict.model)
    encode: dict[str, Any] = {}
    if predict.importer is None and reads_recordings(predict.path):
        from lacuna.media import encoders_of_modalities

        encode = dict(encoders_of_modalities(trained.schema.modalities))
    corpus = load_corpus(predict.path, importer=predict.importer, options=predict.options, encode=encode, split="given")
    device = pick_device(predict.device)
    table = predict_frame(
        trained,
        corpus,
        batch_size=predict.batch_size,
        device=device,
        threads=predict.threads,
        anyway=predict.anyway,
        error=predict.error,
    )
    for line in prediction_notes(table):
        logger.info("%s", line)
    return table


def _choose(recognizers: list[TrainedRecognizer], variant: str) -> TrainedRecognizer:
    """Return the recogniser that is best on validation, of all or of those of one variant."""
    candidates = [r for r in recognizers if variant in (BEST, r.variant)]
    if not candidates:
        known = list(dict.fromkeys(r.variant for r in recognizers))
        hint = suggestion(variant, known)
        raise ConfigError(
            f"predict.model: there is no trained '{variant}'{hint}; trained are: {', '.join(known)}; or '{BEST}' (on validation)"
        )
    return max(candidates, key=lambda r: r.selection.value)
