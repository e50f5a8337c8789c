"""The worst group of a test: the class, speaker or dialogue with the lowest accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import speakers_are_local
from lacuna.evaluation.conditions import Condition
from lacuna.evaluation.replicates import Setting
from lacuna.metrics.counts import Array, labelled

GROUPS = ["test", "model", "pattern", "setting", "rate", "by", "group", "accuracy", "n", "groups", "overall"]


@dataclass(eq=False)
class Hits:
    """How often each utterance of a test was predicted correctly, summed over training seeds.

    Attributes:
        truth: (N,) int64 true class, -1 = not scored; all -1 for a regression target, which has no accuracy.
        groups: by kind of group (class, dialogue, speaker): the (N,) int64 group of each utterance, and the names.
        hits: (P, N) float64 correct predictions.
        seeds: number of training seeds added.
    """

    truth: NDArray[np.int64]
    groups: dict[str, tuple[NDArray[np.int64], list[str]]]
    hits: Array
    seeds: int = 0

    @classmethod
    def of(cls, corpus: Corpus, target: Target) -> Hits:
        """Return the empty sums of a test."""
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
        """Add the logits (P, N, C) of one training seed."""
        if not self.groups:
            return
        right = logits.argmax(axis=2) == self.truth
        self.hits = right + self.hits if len(self.hits) else right.astype(np.float64)
        self.seeds += 1


def worst_groups(hits: Hits, conditions: Sequence[Condition], settings: Sequence[Setting], least: int) -> pd.DataFrame:
    """Return the group with the lowest accuracy, for each setting and kind of group.

    Args:
        hits: of all training seeds.
        conditions: P conditions of the hits.
        settings: settings that become rows; mask seeds are averaged.
        least: groups with fewer utterances are skipped; a kind without any other group has no row.

    Returns:
        Columns pattern, setting, rate, by, group, accuracy, n (utterances of the group), groups (number of groups compared),
        overall. The minimum of several noisy accuracies is biased downwards, more so with small groups.
    """
    rows: list[dict[str, object]] = []
    known = hits.truth >= 0
    for at in settings if hits.seeds else ():
        masks = [p for p, c in enumerate(conditions) if (c.pattern, c.setting, c.rate) == (at.pattern, at.setting, at.rate)]
        share = hits.hits[masks].mean(axis=0)[known] / hits.seeds  # (n,)
        for by, (code, names) in hits.groups.items():
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
