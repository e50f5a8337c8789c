"""What is measured of a repartition: the divergence beside that of random splits, and the label shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.shift.association import Array, agreement, divergence, log_odds, shares, tally, total_variation
from lacuna.shift.association import WordTally as Counted
from lacuna.shift.words import Spoken

Ints = NDArray[np.int64]
SHOWN = 15  # words that moved most


@dataclass(frozen=True)
class Moved:
    """A word and what it says of the first class, in training and in the OOD test, as log-odds."""

    word: str
    train: float
    ood: float


@dataclass(frozen=True)
class Measured:
    """Numbers of a repartition; those about words are ``None`` where the corpus tells none.

    Attributes:
        words: how many words were frequent enough to be looked at.
        ood: divergence of the word-label association between training and the OOD test.
        iid: the same between training and the IID test.
        random_mean: of random OOD tests of the same sizes in the same units, mean.
        random_sd: standard deviation over these random splits.
        random_splits: how many they were.
        agreement_ood: correlation of the associations of training and the OOD test.
        agreement_iid: the same for the IID test.
        labels_ood: total variation of labels between training and the OOD test.
        labels_iid: between training and the IID test.
        labels_tests: between the IID test and the OOD test.
        largest_shift: largest label shift that annealing ever accepted, of those that the budget binds.
        swaps: how many swaps annealing accepted.
        moved: the words that add most to the divergence.
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
    moved: tuple[Moved, ...] = ()

    @property
    def times_random(self) -> float | None:
        """How many times the mean of random splits the divergence is."""
        return self.ood / self.random_mean if self.ood is not None and self.random_mean else None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Measured:
        """From plain values."""
        values = {f.name: content[f.name] for f in fields(cls)}
        return cls(**{**values, "moved": tuple(Moved(**m) for m in content["moved"])})


class Ruler:
    """Measures sets of utterances of one corpus.

    Args:
        spoken: its words, ``None`` = it tells none.
        strata: (N,) int64 classes, -1 = unlabelled.
        classes: C.
        prior: weight of the prior.
    """

    def __init__(self, spoken: Spoken | None, strata: Ints, classes: int, prior: float) -> None:
        self.spoken, self.strata, self.classes, self.prior = spoken, strata, classes, prior
        self.share: Array = np.zeros(0) if spoken is None else shares(tally(spoken, strata, classes))

    def tally(self, rows: Ints) -> Counted:
        """Counts of some utterances."""
        empty = Spoken((), np.zeros(0, np.int64), np.zeros(0, np.int64), len(self.strata))
        return tally(self.spoken or empty, self.strata, self.classes, rows)

    def measure(
        self, train: Ints, iid: Ints, ood: Ints, random: Sequence[tuple[Ints, Ints]], told: Mapping[str, float]
    ) -> Measured:
        """Everything that is measured.

        Args:
            train: rows of training.
            iid: rows of the IID test.
            ood: rows of the OOD test.
            random: rows of training and of the OOD test of random splits.
            told: what the search itself tells.
        """
        a, b, c = self.tally(train), self.tally(iid), self.tally(ood)
        words: dict[str, Any] = dict.fromkeys(("ood", "iid", "random_mean", "random_sd", "agreement_ood", "agreement_iid"))
        moved: tuple[Moved, ...] = ()
        if self.spoken is not None:
            by_chance = [divergence(self.tally(x), self.tally(y), self.share, self.prior) for x, y in random]
            words = {
                "ood": divergence(a, c, self.share, self.prior),
                "iid": divergence(a, b, self.share, self.prior),
                "random_mean": float(np.mean(by_chance)),
                "random_sd": float(np.std(by_chance, ddof=1)),
                "agreement_ood": agreement(a, c, self.share, self.prior),
                "agreement_iid": agreement(a, b, self.share, self.prior),
            }
            moved = self._moved(a, c)
        return Measured(
            words=len(self.share),
            random_splits=len(random),
            labels_ood=total_variation(a.utterances, c.utterances),
            labels_iid=total_variation(a.utterances, b.utterances),
            labels_tests=total_variation(b.utterances, c.utterances),
            largest_shift=told.get("largest_shift"),
            swaps=None if "swaps" not in told else int(told["swaps"]),
            moved=moved,
            **words,
        )

    def _moved(self, train: Counted, ood: Counted) -> tuple[Moved, ...]:
        assert self.spoken is not None
        a, b = log_odds(train, self.share, self.prior), log_odds(ood, self.share, self.prior)
        weight = self.share * ((a - b) ** 2).mean(axis=0)
        most = np.argsort(-weight, kind="stable")[:SHOWN].tolist()
        return tuple(Moved(self.spoken.names[w], float(a[0, w]), float(b[0, w])) for w in most)
