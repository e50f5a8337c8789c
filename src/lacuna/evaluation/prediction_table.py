"""Predictions for a person: one row an utterance, with what was absent."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.predict import predict
from lacuna.training.device import reproducible
from lacuna.training.trained import TrainedRecognizer

_log = logging.getLogger(__name__)


def predict_frame(
    trained: TrainedRecognizer,
    corpus: Corpus,
    *,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    threads: int | None = 1,
) -> pd.DataFrame:
    """Return the answer to every utterance of a corpus, labelled or not.

    Args:
        trained: whose answers.
        corpus: may lack modalities of the recogniser, but not all of them.
        batch_size: utterances in a forward pass.
        device: where to compute.
        threads: CPU threads of torch; ``None`` = as they are.

    Returns:
        ``id``, ``dialogue``, ``turn``; for classes ``predicted``, ``confidence`` and ``p_<class>``, for values ``value``;
        ``absent``: modalities without an observed frame, joined by ``+``; ``model`` and ``seed``. Where everything was absent,
        ``predicted`` is empty, because the answer then only repeats the class shares of training; the probabilities stay.

    Raises:
        DataError: the corpus shares no modality with the recogniser, or a modality has another width.
    """
    corpus.require(trained.schema)
    if unknown := [m.name for m in corpus.modalities if m.name not in trained.schema.dims]:
        _log.warning("%s does not read %s: ignored", trained.variant, ", ".join(unknown))
    if absent := [name for name in trained.schema.dims if name not in corpus.frames]:
        _log.info("absent from the whole corpus: %s", ", ".join(absent))
    with reproducible(threads):
        predictions = predict(trained, corpus, batch_size=batch_size, device=device)
    names, available = predictions.modalities, predictions.available
    table = predictions.to_frame().drop(columns=[f"has_{name}" for name in names])
    dialogues = corpus.utterances.dialogue_names.to_pylist()
    table.insert(1, "dialogue", [dialogues[code] for code in corpus.utterances.dialogue])
    table.insert(2, "turn", corpus.utterances.turn)
    table["absent"] = ["+".join(n for n, there in zip(names, row, strict=True) if not there) for row in available]
    if "predicted" in table:
        table.loc[~np.asarray(available.any(axis=1)), "predicted"] = ""
    return table.assign(model=trained.variant, seed=trained.seed)
