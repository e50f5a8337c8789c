"""Continuous attributes: valence, arousal and dominance of speech, faces and music."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, numbers, quotient, words
from lacuna.metrics.scores import ccc_of


def concordance(y: Array, p: Array) -> float:
    """Return the concordance correlation of N pairs; 0 if one side does not vary, NaN without pairs. See :func:`ccc_of`.

    Example:
        >>> round(concordance(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])), 4)
        0.8571
    """
    origin = y.mean() if len(y) else 0.0  # any origin gives the same value; the mean keeps rounding errors small
    a, b = y - origin, p - origin
    return float(ccc_of(np.array([len(y), a.sum(), b.sum(), a @ a, b @ b, a @ b])))


def _pairs(answers: pd.DataFrame, truth: pd.DataFrame, attribute: str, low: float, high: float) -> tuple[Array, Array]:
    """Return labels and predictions of the rows whose label lies within the bounds."""
    y, p = numbers(truth, attribute), numbers(answers, attribute)
    known = ~np.isnan(y) & (y >= low) & (y <= high)
    if (missing := known & ~np.isfinite(p)).any():
        row = int(np.flatnonzero(missing)[0])
        raise DataError(
            f"a prediction of the {attribute} is missing or not finite",
            utterance=words(truth, "id")[row],
            expected="a number for every labelled row",
            found=f"{int(missing.sum())} of {int(known.sum())} rows have none",
        )
    return y[known], p[known]


def _mean_ccc(
    predictions: pd.DataFrame, truth: pd.DataFrame, attributes: Sequence[str], low: float = -np.inf, high: float = np.inf
) -> list[ProtocolScore]:
    answers = align(predictions, truth)
    pairs = [_pairs(answers, truth, attribute, low, high) for attribute in attributes]
    values = [concordance(y, p) for y, p in pairs]
    mean = ProtocolScore("mean_ccc", float(np.mean(values)), min(len(y) for y, _ in pairs))
    by_attribute = zip(attributes, values, pairs, strict=True)
    return [mean, *(ProtocolScore(f"ccc_{name}", value, len(y)) for name, value, (y, _) in by_attribute)]


@protocol(
    "msp_podcast",
    title="Emotional attributes of speech",
    source="MSP-Podcast challenges: Odyssey 2024 task 2, Interspeech 2025 task 2",
    status="published",
    formula="mean of the CCC of arousal, dominance and valence",
    predictions=("id", "arousal", "dominance", "valence"),
    truth=("id", "arousal", "dominance", "valence"),
)
def score_msp_podcast(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return the mean CCC of three attributes, and each of them.

    A constant prediction has CCC 0. Rows without a label of an attribute are left out for this attribute; a labelled row without
    a prediction is an error.

    Args:
        predictions: ``id``, ``arousal``, ``dominance``, ``valence``.
        truth: likewise.
    """
    return _mean_ccc(predictions, truth, ("arousal", "dominance", "valence"))


@protocol(
    "affwild2_va",
    title="Valence and arousal of faces, frame by frame",
    source="ABAW challenges on Aff-Wild2",
    status="published",
    formula="(CCC_valence + CCC_arousal) / 2 over all frames together",
    predictions=("id", "valence", "arousal"),
    truth=("id", "valence", "arousal"),
)
def score_affwild2(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return the mean CCC of valence and arousal over the frames of all videos together.

    Frames whose label lies outside -1 to 1 are left out: the corpus marks frames without annotation by -5. A constant prediction
    has CCC 0.

    Args:
        predictions: ``id`` (of a frame), ``valence``, ``arousal``.
        truth: likewise.
    """
    return _mean_ccc(predictions, truth, ("valence", "arousal"), -1.0, 1.0)


@protocol(
    "music_va",
    title="Valence and arousal of music",
    source="Music2Emo (arXiv 2502.03979) on DEAM, EmoMusic and PMEmo; MediaEval Emotion in Music (RMSE, correlation)",
    status="published",
    formula="R2 = 1 - sum (y - p)^2 / sum (y - mean y)^2; RMSE; Pearson correlation; CCC, by attribute",
    predictions=("id", "valence", "arousal"),
    truth=("id", "valence", "arousal"),
)
def score_music(predictions: pd.DataFrame, truth: pd.DataFrame) -> list[ProtocolScore]:
    """Return R2, RMSE, Pearson correlation and CCC of valence and arousal of songs.

    R2 is negative for predictions worse than the mean of the test labels, and NaN where labels do not vary; the correlation is 0
    where labels or predictions do not vary.

    Args:
        predictions: ``id``, ``valence``, ``arousal``.
        truth: likewise.
    """
    answers, scores = align(predictions, truth), []
    for attribute in ("valence", "arousal"):
        y, p = _pairs(answers, truth, attribute, -np.inf, np.inf)
        squared = float(np.square(y - p).sum())
        a, b = (y - y.mean(), p - p.mean()) if len(y) else (y, p)
        values = {
            "r2": 1 - quotient(squared, float(a @ a)),
            "rmse": quotient(squared, len(y)) ** 0.5,
            "pearson": quotient(float(a @ b), float(a @ a * (b @ b)) ** 0.5, 0.0) if len(y) else float("nan"),
            "ccc": concordance(y, p),
        }
        scores += [ProtocolScore(metric, value, len(y), attribute) for metric, value in values.items()]
    return scores
