"""Measures of a repartition: divergences, those of random splits, and label shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.shift.association import (
    Array,
    WordCounts,
    agreement,
    count_words,
    divergence,
    log_odds,
    total_variation,
    word_shares,
)
from lacuna.shift.words import UtteranceWords

Ints = NDArray[np.int64]
SHOWN = 15  # number of words listed


@dataclass(frozen=True)
class ShiftedWord:
    """A word and its association with the first class, as log-odds in training and in the OOD test."""

    word: str
    train: float
    ood: float


@dataclass(frozen=True)
class ShiftMeasures:
    """Measures of a repartition; those of words are ``None`` for a corpus without words.

    Attributes:
        words: number of words that are frequent enough to be measured.
        ood: divergence of the word-label association between training and the OOD test.
        iid: the same between training and the IID test.
        random_mean: mean divergence of random splits with the same sizes and units.
        random_sd: standard deviation over these random splits.
        random_splits: number of these random splits.
        agreement_ood: correlation of the associations of training and the OOD test, from -1 to 1.
        agreement_iid: the same for the IID test.
        labels_ood: total variation of labels between training and the OOD test, from 0 to 1.
        labels_iid: between training and the IID test.
        labels_tests: between the IID test and the OOD test.
        largest_shift: largest label shift that annealing accepted once the budget was met.
        swaps: number of swaps that annealing accepted.
        moved: the words that contribute most to the divergence.
    """

    words: int
    ood: float | None
    iid: float | None
    random_mean: float | None
    random_sd: float | None
    random_splits: int
    agreement_ood: float | None
    agreement_iid: float | None
    labels_ood: float
    labels_iid: float
    labels_tests: float
    largest_shift: float | None = None
    swaps: int | None = None
    moved: tuple[ShiftedWord, ...] = ()

    @property
    def times_random(self) -> float | None:
        """Ratio of the divergence to its mean over random splits."""
        return self.ood / self.random_mean if self.ood is not None and self.random_mean else None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ShiftMeasures:
        """Return the measures from plain values."""
        values = {f.name: content[f.name] for f in fields(cls)}
        return cls(**{**values, "moved": tuple(ShiftedWord(**m) for m in content["moved"])})


class ShiftMeter:
    """Measure sets of utterances of one corpus.

    Args:
        words: its words; ``None`` = it has none.
        strata: (N,) int64 classes, -1 = unlabelled.
        n_classes: number of classes C.
        prior: weight of the prior.
    """

    def __init__(self, words: UtteranceWords | None, strata: Ints, n_classes: int, prior: float) -> None:
        self.words, self.strata, self.n_classes, self.prior = words, strata, n_classes, prior
        self.share: Array = np.zeros(0) if words is None else word_shares(count_words(words, strata, n_classes))

    def count_words(self, rows: Ints) -> WordCounts:
        """Return the counts of some utterances ((R,) int64 row numbers); without words only labels are counted."""
        empty = UtteranceWords((), np.zeros(0, np.int64), np.zeros(0, np.int64), len(self.strata))
        return count_words(self.words or empty, self.strata, self.n_classes, rows)

    def measure(
        self, train: Ints, iid: Ints, ood: Ints, random: Sequence[tuple[Ints, Ints]], search: Mapping[str, float]
    ) -> ShiftMeasures:
        """Return all measures.

        Args:
            train: rows of training.
            iid: rows of the IID test.
            ood: rows of the OOD test.
            random: rows of training and of the OOD test of random splits.
            search: what the search measured, by name.
        """
        in_train, in_iid, in_ood = self.count_words(train), self.count_words(iid), self.count_words(ood)
        measures: dict[str, Any] = dict.fromkeys(("ood", "iid", "random_mean", "random_sd", "agreement_ood", "agreement_iid"))
        if self.words is not None:
            by_chance = [self._divergence(self.count_words(a), self.count_words(b)) for a, b in random]
            measures = {
                "ood": self._divergence(in_train, in_ood),
                "iid": self._divergence(in_train, in_iid),
                "random_mean": float(np.mean(by_chance)),
                "random_sd": float(np.std(by_chance, ddof=1)),
                "agreement_ood": agreement(in_train, in_ood, self.share, self.prior),
                "agreement_iid": agreement(in_train, in_iid, self.share, self.prior),
                "moved": self._moved(self.words.names, in_train, in_ood),
            }
        return ShiftMeasures(
            words=len(self.share),
            random_splits=len(random),
            labels_ood=total_variation(in_train.utterances, in_ood.utterances),
            labels_iid=total_variation(in_train.utterances, in_iid.utterances),
            labels_tests=total_variation(in_iid.utterances, in_ood.utterances),
            largest_shift=search.get("largest_shift"),
            swaps=None if "swaps" not in search else int(search["swaps"]),
            **measures,
        )

    def _divergence(self, first: WordCounts, second: WordCounts) -> float:
        return divergence(first, second, self.share, self.prior)

    def _moved(self, names: Sequence[str], train: WordCounts, ood: WordCounts) -> tuple[ShiftedWord, ...]:
        """Return the words that contribute most to the divergence."""
        a, b = log_odds(train, self.share, self.prior), log_odds(ood, self.share, self.prior)  # (C, V)
        contribution = self.share * ((a - b) ** 2).mean(axis=0)
        most = np.argsort(-contribution, kind="stable")[:SHOWN].tolist()
        return tuple(ShiftedWord(names[w], float(a[0, w]), float(b[0, w])) for w in most)
