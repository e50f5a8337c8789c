"""Open-vocabulary emotion recognition: sets of free words compared through emotion wheels (MER-UniBench, OV-MER)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, label_sets, share
from lacuna.metrics.protocols.vocabulary import LEVELS, Vocabulary, read_vocabulary


def set_scores(truth: Sequence[frozenset[str]], predicted: Sequence[frozenset[str]]) -> tuple[float, float, float, float, int]:
    """Return precision, recall, F1 and hit rate of label sets, and the number of samples.

    A sample without a true label is left out. An empty prediction has precision and recall 0. Precision and recall are means over
    samples; F1 is the harmonic mean of these two means, and 0 where both are 0. All are NaN without any sample.

    Args:
        truth: N sets.
        predicted: N sets.

    Returns:
        Precision, recall, F1, share of samples with a common label, and their number.

    Example:
        >>> set_scores([frozenset("ab"), frozenset("c")], [frozenset("a"), frozenset()])
        (0.5, 0.25, 0.3333333333333333, 0.5, 2)
    """
    pairs = [(t, p) for t, p in zip(truth, predicted, strict=True) if t]
    precision = share(np.array([len(t & p) / len(p) if p else 0.0 for t, p in pairs]))
    recall = share(np.array([len(t & p) / len(t) for t, p in pairs]))
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else precision + recall
    return precision, recall, f1, share([bool(t & p) for t, p in pairs]), len(pairs)


def wheel_scores(
    truth: Sequence[frozenset[str]], predicted: Sequence[frozenset[str]], vocabulary: Vocabulary
) -> dict[str, tuple[float, float, float, float, int]]:
    """Return :func:`set_scores` by subset: ``<wheel>/<level>``, ``level1``, ``level2`` (means over wheels) and ``all``.

    ``all`` is the mean over both levels. Without wheels there is ``all`` only: synonyms are applied, every word is its own group.
    """
    if not vocabulary.wheels:
        mapped = ([vocabulary.sets(labels, None) for labels in side] for side in (truth, predicted))
        return {"all": set_scores(*mapped)}
    scores = {}
    for wheel in vocabulary.wheels:
        mapped = ([vocabulary.sets(labels, wheel) for labels in side] for side in (truth, predicted))
        scores["/".join(wheel)] = set_scores(*mapped)
    for level in (*LEVELS, "all"):
        parts = [value for name, value in scores.items() if level == "all" or name.endswith(f"/{level}")]
        scores[level] = _mean(parts if level != "all" else [scores[name] for name in LEVELS])
    return scores


def _mean(parts: Sequence[tuple[float, float, float, float, int]]) -> tuple[float, float, float, float, int]:
    precision, recall, f1, hit = (float(np.mean(column)) for column in list(zip(*parts, strict=True))[:4])
    return precision, recall, f1, hit, max(part[4] for part in parts)


@protocol(
    "open_vocabulary",
    title="Open-vocabulary labels on emotion wheels",
    source="MER-UniBench of AffectGPT (arXiv 2501.16566), OV-MER; public code of MERTools MER2025",
    status="published",
    formula="groups Y, P of the words; precision = mean |Y n P| / |P|, recall = mean |Y n P| / |Y|; "
    "F = 2 pr / (p + r), mean over wheels",
    predictions=("id", "labels"),
    truth=("id", "labels"),
)
def score_open_vocabulary(
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    wheels: str | None = None,
    synonyms: str | None = None,
    inflections: str | None = None,
) -> list[ProtocolScore]:
    """Return precision, recall and F1 of label sets, on each wheel and level and on average.

    - Words are lower-cased and mapped by inflections, then synonyms, then to their group on the wheel. A word that no wheel has
      is dropped on both sides; ``dropped`` is the share of predicted words that are dropped on every wheel.
    - A sample whose true set is empty after mapping is left out, an empty prediction scores 0 (as in the public code). F1 is 0
      where precision and recall are 0; the public code divides by 0 there.
    - ``hit`` is the share of samples with a common group, which benchmarks with one basic emotion a sample use (recalled, not
      checked against their code).
    - The published tables of wheels and synonyms are not part of Lacuna: supply them as files. Without wheels every word is its
      own group.

    Args:
        predictions: ``id``, ``labels`` (separated by ``;`` or ``,``, or lists).
        truth: likewise.
        wheels: file with columns wheel, level1, level2, level3.
        synonyms: file with columns word, canonical.
        inflections: file with columns word, canonical.
    """
    vocabulary = read_vocabulary(inflections=inflections, synonyms=synonyms, wheels=wheels)
    predicted, labels = label_sets(align(predictions, truth), "labels"), label_sets(truth, "labels")
    scores = []
    for subset, (precision, recall, f1, hit, n) in wheel_scores(labels, predicted, vocabulary).items():
        values = {"f1": f1, "precision": precision, "recall": recall, "hit": hit}
        scores += [ProtocolScore(metric, value, n, subset) for metric, value in values.items()]
    if vocabulary.wheels:
        used = [word for one in predicted for word in one]
        lost = [not any(vocabulary.group(word, wheel) for wheel in vocabulary.wheels) for word in used]
        scores.append(ProtocolScore("dropped", share(lost), len(used)))
    return scores
