"""Whole modalities lost: at random with one always kept, or all but a chosen set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import key_of
from lacuna.errors import ConfigError
from lacuna.missing.hashing import bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, SlotDraw, Unit
from lacuna.missing.registry import register


@register("rmm")
@dataclass(frozen=True)
class Rmm(Pattern):
    """Random missing: whole modalities, at least one kept in every utterance, at an exact rate.

    Every slot (utterance, modality) that is originally there has two hashed scores. The slot of an utterance with the lowest
    first score is kept. Of the others in the split the ``round(r A)`` with the lowest second scores are removed (ties by
    utterance and modality key), i.e. a uniform choice without replacement; A counts the slots originally there. No retries,
    and masks nest. At most ``(A - n) / A`` can be removed, n being the utterances that have anything: 2/3 for three complete
    modalities, so that "0.7" means one modality everywhere.

    Source: the protocol of GCNet and IMDer, ``1 - sum s_i / (n |M|)``, with an exact sampler in place of GCNet's rejection
    loop and IMDer's one pattern a batch.
    Rate 1 removes all but one modality of every utterance.
    """

    exact: ClassVar[bool] = True
    unit: ClassVar[Unit] = "slots"

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        names = layout.modalities
        there = np.stack([layout.available[m] for m in names], axis=1)  # (N, M)
        keep, score = (np.stack([_scores(layout, seed, use, m) for m in names], axis=1) for use in ("keep", "order"))  # (N, M)
        keep[~there] = np.iinfo(np.uint64).max
        spare = there.copy()
        spare[np.arange(len(layout)), keep.argmin(axis=1)] = False
        number = min(round(rate * int(there.sum())), int(spare.sum()))
        removed = np.zeros_like(spare)
        row, column = np.nonzero(spare)
        modality = np.array([key_of(m) for m in names], np.uint64)
        lowest = _lowest(score[row, column], layout.utterance[row], modality[column], number)
        removed[row[lowest], column[lowest]] = True
        return SlotDraw.of_slots(layout, {m: removed[:, k] for k, m in enumerate(names)})


def _scores(layout: Layout, seed: int, use: str, modality: str) -> NDArray[np.uint64]:
    """(N,) uint64 below 2**63."""
    return bits(layout.utterance, stream_of(seed, f"rmm.{use}", modality)) >> np.uint64(1)


def _lowest(
    score: NDArray[np.uint64], utterance: NDArray[np.uint64], modality: NDArray[np.uint64], number: int
) -> NDArray[np.int64]:
    """Where the ``number`` lowest scores are, ties by utterance and modality: (number,) int64."""
    if not number:
        return np.zeros(0, np.int64)
    limit = np.partition(score, number - 1)[number - 1]
    under, tied = np.flatnonzero(score < limit), np.flatnonzero(score == limit)
    tied = tied[np.lexsort((modality[tied], utterance[tied]))]
    return np.concatenate([under, tied[: number - len(under)]])


@register("fixed")
@dataclass(frozen=True)
class Fixed(Pattern):
    """Fixed missing: an utterance keeps the chosen modalities only, with probability r.

    Source: the fixed protocol of GCNet, IMDer and DiCMoR, where r = 1 and each subset has its column; CIDer's SMM.
    Rate 1 removes every modality outside ``available`` from everyone; who never had one of those has nothing left.
    The rate is the share, among utterances that have something outside ``available``, of those that lose it.

    Attributes:
        available: modalities that stay, at least one.
    """

    available: tuple[str, ...] = ("text",)
    unit: ClassVar[Unit] = "utterances"

    def __post_init__(self) -> None:
        self._names("available")
        if not self.available:
            raise ConfigError("fixed.available must name at least one modality, found none")

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        self._known("available", self.available, layout)
        hit = uniform(layout.utterance, stream_of(seed, "fixed.hit")) < rate
        removed = {m: np.zeros(len(layout), np.bool_) if m in self.available else hit for m in layout.modalities}
        concerned = np.zeros(len(layout), np.bool_)
        for m in set(layout.modalities) - set(self.available):
            concerned |= layout.available[m]
        return SlotDraw(layout, removed, int((hit & concerned).sum()) / max(int(concerned.sum()), 1))
