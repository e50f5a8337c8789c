"""Label a corpus with whatever of it is there."""

from __future__ import annotations

import pandas as pd

from lacuna.errors import ConfigError
from lacuna.evaluation import predict_frame
from lacuna.loading import load_corpus
from lacuna.pipelines.parameters import BEST, Predict
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device


def label_corpus(recognizers: list[TrainedRecognizer], predict: Predict) -> pd.DataFrame:
    """Answer every utterance of a corpus folder, labelled or not.

    Args:
        recognizers: those of the last training run.
        predict: which corpus and which model.

    Returns:
        One row an utterance: id, dialogue, turn, answer, confidence, a probability a class, what was absent, model and seed.
    """
    options = predict.options
    corpus = load_corpus(predict.path, importer=predict.importer, options=options, split="given")
    trained = _choose(recognizers, predict.model)
    device = pick_device(predict.device)
    return predict_frame(trained, corpus, batch_size=predict.batch_size, device=device, threads=predict.threads)


def _choose(recognizers: list[TrainedRecognizer], variant: str) -> TrainedRecognizer:
    """The best on validation, of all or of those with one variant."""
    among = [r for r in recognizers if variant in (BEST, r.variant)]
    if not among:
        known = ", ".join(dict.fromkeys(r.variant for r in recognizers))
        raise ConfigError(f"predict.model: there is no trained '{variant}'; trained are: {known}; or '{BEST}'")
    return max(among, key=lambda r: r.selection.value)
