"""The worst group of a test: which class, speaker or dialogue is recognised least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import speakers_are_local
from lacuna.evaluation.bootstrap import Setting
from lacuna.evaluation.conditions import Condition
from lacuna.metrics.counts import Array, labelled

GROUPS = ["test", "model", "pattern", "setting", "rate", "by", "group", "accuracy", "n", "groups", "overall"]


@dataclass(eq=False)
class Recognised:
    """How often each utterance of a test was recognised, over training seeds.

    Attributes:
        truth: (N,) int64 true class, -1 = not scored; all -1 for values, which have no accuracy.
        groups: by what groups are of, the (N,) int64 group of each utterance and the names.
        hits: (P, N) float64 summed over seeds.
        seeds: how many were added.
    """

    truth: NDArray[np.int64]
    groups: dict[str, tuple[NDArray[np.int64], list[str]]]
    hits: Array
    seeds: int = 0

    @classmethod
    def of(cls, corpus: Corpus, target: Target) -> Recognised:
        """Nothing yet of a test."""
        u, labels = corpus.utterances, corpus.utterances.labels[target.name]
        known = labelled(target, labels)
        if target.task == "regression":
            return cls(np.full(len(corpus), -1), {}, np.zeros((0, len(corpus))))
        codes = labels.argmax(axis=1) if target.task == "soft" else labels
        truth = np.where(known, np.asarray(codes, np.int64), -1)
        groups = {"class": (truth, list(target.classes)), "dialogue": (u.dialogue, u.dialogue_names.to_pylist())}
        if len(np.unique(u.speaker[known])) > 1 and not speakers_are_local(corpus):  # else they are no people
            groups["speaker"] = (u.speaker, u.speaker_names.to_pylist())
        return cls(truth, groups, np.zeros((0, len(corpus))))

    def add(self, logits: NDArray[np.float32]) -> None:
        """Add a recogniser's answers (P, N, C)."""
        if not self.groups:
            return
        right = logits.argmax(axis=2) == self.truth
        self.hits = right + self.hits if len(self.hits) else right.astype(np.float64)
        self.seeds += 1


def worst_groups(found: Recognised, conditions: Sequence[Condition], settings: Sequence[Setting], least: int) -> pd.DataFrame:
    """The group with the least accuracy, by setting and by what groups are of.

    Args:
        found: hits of all seeds.
        conditions: P conditions of the hits.
        settings: what rows are made of; mask seeds are averaged.
        least: smaller groups are passed over; where none is left there is no row.

    Returns:
        pattern, setting, rate, by, group, accuracy, n (utterances of the group), groups (how many were large enough), overall.
        The least of several noisy numbers is too low on average, the more so the smaller the groups.
    """
    rows: list[dict[str, object]] = []
    known = found.truth >= 0
    for at in settings if found.seeds else ():
        own = [p for p, c in enumerate(conditions) if (c.pattern, c.setting, c.rate) == (at.pattern, at.setting, at.rate)]
        share = found.hits[own].mean(axis=0)[known] / found.seeds  # (n,)
        for by, (code, names) in found.groups.items():
            size = np.bincount(code[known], minlength=len(names))
            right = np.bincount(code[known], share, len(names))
            large = np.flatnonzero(size >= least)
            if not len(large):
                continue
            accuracy = right[large] / size[large]
            worst = int(np.argmin(accuracy))
            row: dict[str, object] = {"pattern": at.pattern, "setting": at.setting, "rate": at.rate, "by": by}
            row |= {"group": names[large[worst]], "accuracy": float(accuracy[worst]), "n": int(size[large[worst]])}
            rows.append(row | {"groups": len(large), "overall": float(share.mean())})
    return pd.DataFrame(rows, columns=[c for c in GROUPS if c not in ("test", "model")])
