"""Conflict between modalities: accuracy where modalities agree and where only one of them shows the emotion (CA-MER)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, share, words


def conflict_subsets(label: Sequence[str], first: Sequence[str], second: Sequence[str], names: tuple[str, str]) -> list[str]:
    """Return the subset of each sample.

    Args:
        label: N labels of the whole sample.
        first: N labels of the first modality alone (from raters, or a recogniser of that modality).
        second: N labels of the second modality alone.
        names: of the two modalities.

    Returns:
        ``consistent``: all three are equal. ``<modality>-aligned``: that modality alone has the label. ``neither``: no modality
        alone has the label. ``""``: one of the three is unknown.

    Example:
        >>> conflict_subsets(["joy"] * 4, ["joy", "joy", "fear", ""], ["joy", "fear", "fear", "joy"], ("audio", "video"))
        ['consistent', 'audio-aligned', 'neither', '']
    """
    subsets = []
    for whole, a, b in zip(label, first, second, strict=True):
        if not (whole and a and b):
            subsets.append("")
        elif whole in (a, b):
            subsets.append("consistent" if a == b else f"{names[0] if a == whole else names[1]}-aligned")
        else:
            subsets.append("neither")
    return subsets


def harmonic_mean(values: Sequence[float]) -> float:
    """Return the harmonic mean; 0 if a value is 0, NaN if one is NaN.

    Example:
        >>> harmonic_mean([0.5, 1.0, 1.0])
        0.75
    """
    if any(np.isnan(values)):
        return float("nan")
    return 0.0 if min(values) == 0 else float(len(values) / np.sum(1 / np.asarray(values)))


@protocol(
    "conflict",
    title="Conflicting modalities",
    source="subsets of CA-MER (MoSEAR, arXiv 2508.01181); bias, gap and harmonic mean are ours",
    status="reconstruction",
    formula="bias = Acc_1-aligned - Acc_2-aligned; gap = Acc_consistent - (Acc_1 + Acc_2) / 2; harmonic mean of the three",
    predictions=("id", "predicted"),
    truth=("id", "label", "label_*"),
)
def score_conflict(predictions: pd.DataFrame, truth: pd.DataFrame, *, modalities: str = "audio+video") -> list[ProtocolScore]:
    """Return the accuracy on aligned and consistent subsets, and how much a system leans on one modality.

    Accuracy by subset is the source's; ``bias``, ``conflict_gap`` and ``harmonic_mean`` are a reconstruction. An empty prediction
    is an error. Samples without one of the three labels (for example a tie of raters) are in no subset; ``neither`` is shown, but
    enters no summary. A summary of an empty subset is NaN.

    Args:
        predictions: ``id``, ``predicted``.
        truth: ``id``, ``label``, and ``label_<modality>`` of both modalities.
        modalities: ``a+b``, the two modalities. A positive bias means that the system follows a.
    """
    names = tuple(part.strip() for part in modalities.split("+"))
    if len(names) != 2 or any(f"label_{name}" not in truth for name in names):
        have = ", ".join(str(c)[6:] for c in truth.columns if str(c).startswith("label_"))
        raise ConfigError(f"modalities names two of the columns label_<modality> as a+b, not {modalities!r}; there are: {have}")
    first, second = names
    labels = words(truth, "label")
    subsets = np.asarray(
        conflict_subsets(labels, words(truth, f"label_{first}"), words(truth, f"label_{second}"), (first, second)), dtype=object
    )
    right = np.asarray(words(align(predictions, truth), "predicted"), dtype=object) == np.asarray(labels, dtype=object)
    kinds = ("consistent", f"{first}-aligned", f"{second}-aligned", "neither")
    accuracies = [share(right[subsets == kind]) for kind in kinds]
    scores = [
        ProtocolScore("accuracy", value, int((subsets == kind).sum()), kind)
        for kind, value in zip(kinds, accuracies, strict=True)
    ]
    consistent, one, two = accuracies[:3]
    n = sum(score.n for score in scores[:3])
    return [
        *scores,
        ProtocolScore("bias", one - two, n),
        ProtocolScore("conflict_gap", consistent - (one + two) / 2, n),
        ProtocolScore("harmonic_mean", harmonic_mean([consistent, one, two]), n),
    ]
