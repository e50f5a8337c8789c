"""Prediction sets and abstention on the test split: how often the sets hold the truth, and how often a sure answer is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Labels
from lacuna.corpus.schema import Schema
from lacuna.evaluation.past import Answer
from lacuna.metrics.counts import Array, labelled
from lacuna.models import Recognizer
from lacuna.models.layers.sureness import MERGED, true_class
from lacuna.models.layers.temperature import LARGEST, pattern_code

ERROR = 0.1  # accepted share of misses of a set, and of errors among the sure answers
STATISTICS = ("n", "covered", "size", "answered", "wrong")
Key = tuple[str | float, ...]


@dataclass(frozen=True, eq=False)
class SetCounts:
    """Sums over utterances by set of available modalities: P conditions, G sets of modalities.

    Attributes:
        names: G sets of modalities, such as ``text+audio``.
        merged: (G,) int64, see :data:`lacuna.models.layers.sureness.MERGED`.
        values: (P, G, 5) float64: number of labelled utterances, of those whose set holds the truth, summed sizes of the sets
            (widths of the intervals), number of sure answers and of wrong ones among them.
    """

    names: tuple[str, ...]
    merged: NDArray[np.int64]
    values: Array


def set_counts(model: Recognizer, schema: Schema, conditions: int) -> SetCounts | None:
    """Return counts of zero, or ``None`` if the model has no prediction sets."""
    if not model.sureness.fitted:
        return None
    names, patterns = list(schema.dims), len(model.sureness.merged)
    if len(names) <= LARGEST:
        sets = tuple("+".join(m for i, m in enumerate(names) if code >> i & 1) or "nothing" for code in range(patterns))
    else:
        sets = tuple(f"{number} modalities" for number in range(patterns))
    return SetCounts(sets, model.sureness.merged.cpu().numpy(), np.zeros((conditions, patterns, len(STATISTICS))))


def set_sums(model: Recognizer, available: torch.Tensor, answer: Answer, labels: Labels) -> Array:
    """Return the sums over U utterances: (G, 5).

    Args:
        model: with fitted prediction sets, on the CPU or not.
        available: (U, M) bool, the modalities that the model observed.
        answer: to the U utterances.
        labels: (U, ...) true labels; unlabelled utterances are left out.
    """
    target, sureness = model.schema.target, model.sureness
    known = torch.from_numpy(labelled(target, labels))
    answers, spread = (torch.from_numpy(part)[known] for part in answer)
    label = torch.from_numpy(np.asarray(labels))[known]
    available = available.to(known.device)[known]
    found = sureness.sets(target, answers, available, ERROR, spread=spread)
    if target.task == "regression":
        covered, size = (answers[:, 0] - label).abs() <= found.reach + 1e-9, 2 * found.reach
        answered = wrong = torch.zeros_like(covered)
    else:
        truth = true_class(target, label)
        covered, size = found.member.gather(1, truth.unsqueeze(1)).squeeze(1), found.member.sum(dim=1)  # (N, 1) -> (N,)
        confidence, predicted = answers.double().softmax(dim=1).max(dim=1)
        answered = sureness.sure(confidence, ERROR)
        wrong = answered & (predicted != truth)
    columns = torch.stack([x.double() for x in (torch.ones_like(covered), covered, size, answered, wrong)], dim=1)  # (N, 5)
    sums = columns.new_zeros(len(sureness.merged), len(STATISTICS)).index_add_(0, pattern_code(available), columns)
    return np.asarray(sums.numpy())


def sureness_rows(rows: Iterable[tuple[Key, SetCounts, int]], columns: Sequence[str]) -> pd.DataFrame:
    """Return the sums by key and set of available modalities, without sets that do not occur.

    Args:
        rows: for each recogniser and condition the values of the key columns, the counts, and the number of the condition in
            them.
        columns: names of the key columns.

    Returns:
        The key columns; available; sums n, covered, size, answered, wrong; merged, a remark that is empty where the set of
        modalities has thresholds of its own in every recogniser.
    """
    sums: dict[Key, Array] = {}
    remarks: dict[Key, str] = {}
    for key, counts, condition in rows:
        for g in np.flatnonzero(counts.values[condition, :, 0]).tolist():
            place = (*key, counts.names[g])
            sums[place] = sums.get(place, np.zeros(len(STATISTICS))) + counts.values[condition, g]
            remarks[place] = remarks.get(place) or MERGED[int(counts.merged[g])]
    table = [(*place, *values, remarks[place]) for place, values in sums.items()]
    return pd.DataFrame(table, columns=[*columns, "available", *STATISTICS, "merged"])
