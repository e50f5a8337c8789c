"""Scores of reasoning steps that a judge gave (MME-Emotion); no judge is run here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import share, words


def parse_steps(text: str, where: str) -> list[float]:
    """Return the scores of the steps of an answer.

    Raises:
        DataError: a score is not a number from 0 to 1.

    Example:
        >>> parse_steps("1; 0; 0.5", "a")
        [1.0, 0.0, 0.5]
    """
    steps = []
    for part in text.strip("[]").replace(",", ";").split(";"):
        try:
            value = float(part) if part.strip() else None
        except ValueError:
            value = np.nan
        if value is None:
            continue
        if not 0 <= value <= 1:
            raise DataError(
                "a judge score is not valid", utterance=where, expected="numbers from 0 to 1", found=repr(part.strip())
            )
        steps.append(value)
    return steps


@protocol(
    "mme_emotion",
    title="Recognition and reasoning by judge scores",
    source="MME-Emotion benchmark, public code",
    status="published",
    formula="Rec = mean last step, Rea = mean of the mean of earlier steps (0 if none), CoT = alpha Rec + (1 - alpha) Rea",
    predictions=("id", "steps"),
    optional=("task",),
)
def score_judged_steps(
    predictions: pd.DataFrame, truth: pd.DataFrame | None = None, *, alpha: float = 0.5
) -> list[ProtocolScore]:
    """Return recognition, reasoning and chain scores from a file of judge scores.

    The last step of an answer is its recognition: 0 or 1 with one true label, the share of true labels that are named with
    several (false labels cost nothing in the source). An answer without any step scores 0 in both. ``average_steps`` counts all
    steps, the last included (reconstruction).

    Args:
        predictions: ``id``, ``steps`` (scores in [0, 1], separated by ``;``); optionally ``task``, for one subset a task.
        truth: not used, the judge has seen it.
        alpha: weight of the recognition in the chain score, 0.5 in the source.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha lies between 0 and 1, not {alpha}")
    ids, texts = words(predictions, "id"), words(predictions, "steps")
    tasks = np.asarray(words(predictions, "task") if "task" in predictions else [""] * len(ids), dtype=object)
    steps = [parse_steps(text, name) for name, text in zip(ids, texts, strict=True)]
    recognition = np.array([one[-1] if one else 0.0 for one in steps])
    reasoning = np.array([np.mean(one[:-1]) if len(one) > 1 else 0.0 for one in steps])
    lengths = np.array([len(one) for one in steps], np.float64)
    scores = []
    for subset in ("all", *sorted({*tasks} - {""})):
        rows = np.flatnonzero((tasks == subset) | (subset == "all"))
        rec, rea = share(recognition[rows]), share(reasoning[rows])
        values = {
            "recognition": rec,
            "reasoning": rea,
            "chain": alpha * rec + (1 - alpha) * rea,
            "average_steps": share(lengths[rows]),
        }
        scores += [ProtocolScore(metric, value, len(rows), subset) for metric, value in values.items()]
    return scores
