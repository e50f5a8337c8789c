"""The combined score of the MER challenges: F1 of the emotion, and squared error of the valence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, class_names, numbers, share, words
from lacuna.metrics.scores import weighted_f1


@protocol(
    "mer",
    title="Emotion and valence of the MER challenges",
    source="MER2023 and later; public code of MERTools",
    status="published",
    formula="weighted F1 - .25 MSE of the valence",
    predictions=("id", "predicted", "valence"),
    truth=("id", "label", "valence"),
)
def score_mer(predictions: pd.DataFrame, truth: pd.DataFrame, *, weight: float = 0.25) -> list[ProtocolScore]:
    """Return the combined score and its parts.

    An empty prediction of the emotion is an error. A row without a true valence does not enter the MSE; a missing predicted
    valence makes MSE and combined score NaN.

    Args:
        predictions: ``id``, ``predicted``, ``valence``.
        truth: ``id``, ``label``, ``valence``.
        weight: of the squared error.
    """
    answers, labels = align(predictions, truth), words(truth, "label")
    counts = class_counts(labels, words(answers, "predicted"), class_names(predictions, labels))
    valence = numbers(truth, "valence")
    known = ~np.isnan(valence)
    mse = share(np.square(numbers(answers, "valence") - valence)[known])
    f1, n = float(weighted_f1(counts)), int(counts.part("n"))
    return [
        ProtocolScore("combined", f1 - weight * mse, n),
        ProtocolScore("weighted_f1", f1, n),
        ProtocolScore("valence_mse", mse, int(known.sum())),
    ]
