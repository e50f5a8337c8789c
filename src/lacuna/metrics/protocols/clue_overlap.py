"""Explanations of emotions: overlap of clues and of labels (EMER), without a language model as judge."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from lacuna.metrics.protocols.open_vocabulary import wheel_scores
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, label_sets, numbers, share, words
from lacuna.metrics.protocols.vocabulary import read_vocabulary

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:'[^\W_]+)*")


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case; each Chinese, Japanese or Korean character is a word of its own.

    Example:
        >>> tokens("She isn't happy. 高兴")
        ['she', "isn't", 'happy', '高', '兴']
    """
    return _TOKEN.findall(text.casefold().replace("\u2019", "'"))


def token_f1(truth: str, predicted: str) -> float:
    """Return the F1 of two texts as multisets of words; 1 if both are empty, 0 if one is.

    Example:
        >>> token_f1("a low voice and tears", "tears, low voice")
        0.75
    """
    true, answer = Counter(tokens(truth)), Counter(tokens(predicted))
    size = true.total() + answer.total()
    return 2 * (true & answer).total() / size if size else 1.0


@protocol(
    "emer",
    title="Clue and label overlap of explanations",
    source="EMER (arXiv 2306.15401); its judge is a language model with marks from 1 to 10",
    status="stand-in",
    formula="clues: mean token F1; labels: set F1 on wheels; overall = mean of both",
    predictions=("id", "clues", "labels"),
    truth=("id", "clues", "labels"),
    optional=("judge_clues", "judge_labels"),
)
def score_clue_overlap(
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    wheels: str | None = None,
    synonyms: str | None = None,
    inflections: str | None = None,
) -> list[ProtocolScore]:
    """Return deterministic overlaps of clues and labels, in [0, 1], in place of marks of a language model.

    The values are not comparable with published marks. Where the predictions have columns ``judge_clues`` and ``judge_labels``,
    their means are added as they are. A paraphrase without a common word scores 0 in ``clue_overlap``.

    Args:
        predictions: ``id``, ``clues`` (text), ``labels`` (separated by ``;`` or ``,``).
        truth: likewise.
        wheels: as in protocol ``open_vocabulary``.
        synonyms: likewise.
        inflections: likewise.
    """
    answers = align(predictions, truth)
    vocabulary = read_vocabulary(inflections=inflections, synonyms=synonyms, wheels=wheels)
    clue = share(np.array([token_f1(t, p) for t, p in zip(words(truth, "clues"), words(answers, "clues"), strict=True)]))
    label = wheel_scores(label_sets(truth, "labels"), label_sets(answers, "labels"), vocabulary)["all"]
    scores = [
        ProtocolScore("clue_overlap", clue, len(truth)),
        ProtocolScore("label_overlap", label[2], label[4]),
        ProtocolScore("overall", (clue + label[2]) / 2, len(truth)),
    ]
    for column in ("judge_clues", "judge_labels"):
        if column in answers:
            marks = numbers(answers, column)
            scores.append(ProtocolScore(column, share(marks[~np.isnan(marks)]), int((~np.isnan(marks)).sum())))
    return scores
