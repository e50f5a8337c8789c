"""Classes: the usual scores of one label an utterance, so that free answers and trained recognisers stand in one table."""

from __future__ import annotations

import pandas as pd

from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, class_f1, class_names, macro, share, words
from lacuna.metrics.scores import accuracy, unweighted_accuracy, weighted_f1


@protocol(
    "classes",
    title="One label an utterance",
    source="MELD, IEMOCAP and most of the literature; Odyssey 2024 ranks by macro-F1",
    status="published",
    formula="weighted F1 = sum_c n_c F1_c / n; macro-F1 = mean_c F1_c; WA = hits / n; UA = mean_c recall_c",
    predictions=("id", "predicted"),
    truth=("id", "label"),
    optional=("p_*",),
)
def score_classes(predictions: pd.DataFrame, truth: pd.DataFrame, *, classes: str | None = None) -> list[ProtocolScore]:
    """Return weighted F1, macro-F1, accuracy and unweighted accuracy, as :mod:`lacuna.metrics.scores` defines them.

    An empty prediction or a word that is no class is an error. Macro-F1 averages over the classes that occur in the truth or the
    predictions. Rows without a label are left out.

    Args:
        predictions: ``id``, ``predicted``; columns ``p_<class>`` declare classes.
        truth: ``id``, ``label``.
        classes: ``a+b+c``, all classes. By default those of the columns ``p_<class>`` and of the truth.
    """
    predicted, labels = words(align(predictions, truth), "predicted"), words(truth, "label")
    names = class_names(predictions, labels, classes)
    counts = class_counts(labels, predicted, names)
    n = int(counts.part("n"))
    answered = [bool(answer) for answer, label in zip(predicted, labels, strict=True) if label]
    return [
        ProtocolScore("weighted_f1", float(weighted_f1(counts)), n),
        ProtocolScore("macro_f1", macro(class_f1(counts)), n),
        ProtocolScore("accuracy", float(accuracy(counts)), n),
        ProtocolScore("unweighted_accuracy", float(unweighted_accuracy(counts)), n),
        ProtocolScore("answered", share(answered), n),
    ]
