"""Whole modalities lost: at random with one always kept, or all but a chosen set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import key_of
from lacuna.errors import ConfigError
from lacuna.missing.hashing import bits, stream_of, uniform
from lacuna.missing.layout import Layout, Part
from lacuna.missing.pattern import Draw, Pattern, Unit, WholeDraw
from lacuna.missing.registry import register

_SHIFT = 49  # of the 63 bits of a score: the leading 14 are counted
_HIGHEST = 2**64 - 1


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
        """Draw for a split: find the highest second score that is removed, in two passes of bounded memory."""
        slots = spare = 0
        found = np.zeros(1 << (63 - _SHIFT), np.int64)  # spare slots by the leading bits of their second score
        for _, part in layout.parts() if rate else ():
            score, free = _spare(part, seed)
            slots += sum(int(there.sum()) for there in part.available.values())
            spare += int(free.sum())
            found += np.bincount((score[free] >> np.uint64(_SHIFT)).astype(np.int64), minlength=len(found))
        number = min(round(rate * slots), spare)
        share = number / max(slots, 1)
        if number in (0, spare):
            return _RmmDraw(layout, share, seed, (_HIGHEST,) * 3 if number else None)
        total = np.cumsum(found)
        bucket = int(np.searchsorted(total, number))  # the limit has these leading bits
        return _RmmDraw(layout, share, seed, _nth(layout, seed, bucket, number - 1 - int(total[bucket] - found[bucket])))


def _nth(layout: Layout, seed: int, bucket: int, n: int) -> tuple[int, int, int]:
    """Score, utterance key and modality key of the n-th spare slot of a bucket, from 0, in this order."""
    modality = np.array([key_of(m) for m in layout.modalities], np.uint64)
    pieces = []
    for _, part in layout.parts():
        score, free = _spare(part, seed)
        row, column = np.nonzero(free & (score >> np.uint64(_SHIFT) == bucket))
        pieces.append(np.stack([modality[column], part.utterance[row], score[row, column]]))  # (3, K)
    close = np.concatenate(pieces, axis=1)
    m, u, s = close[:, np.lexsort(close)[n]].tolist()
    return s, u, m


@dataclass(frozen=True, eq=False)
class _RmmDraw(WholeDraw):
    """Spare slots up to a limit are removed.

    Attributes:
        share: of the slots that are removed.
        seed: of the scores.
        limit: second score, utterance key and modality key of the last slot that is removed; ``None`` = none is.
    """

    share: float
    seed: int
    limit: tuple[int, int, int] | None

    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: it is removed."""
        if self.limit is None:
            return {m: np.zeros(len(part.utterance), np.bool_) for m in part.count}
        score, free = _spare(part, self.seed)
        highest, utterance, modality = (np.uint64(x) for x in self.limit)
        result = {}
        for k, m in enumerate(part.count):
            before = part.utterance <= utterance if key_of(m) <= modality else part.utterance < utterance
            result[m] = free[:, k] & ((score[:, k] < highest) | ((score[:, k] == highest) & before))
        return result

    def measured(self) -> float:
        """Share of the slots originally there that are removed; 0 if there were none."""
        return self.share


def _spare(part: Part, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Second scores of the slots, and which ones are not the slot that its utterance keeps: (U, M) and (U, M)."""
    there = np.stack(list(part.available.values()), axis=1)
    keep, score = (np.stack([_scores(part, seed, use, m) for m in part.count], axis=1) for use in ("keep", "order"))
    keep[~there] = _HIGHEST
    there[np.arange(len(there)), keep.argmin(axis=1)] = False
    return score, there


def _scores(part: Part, seed: int, use: str, modality: str) -> NDArray[np.uint64]:
    """(U,) uint64 below 2**63."""
    return bits(part.utterance, stream_of(seed, f"rmm.{use}", modality)) >> np.uint64(1)


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
        return _FixedDraw(layout, self.available, rate, seed)


@dataclass(frozen=True, eq=False)
class _FixedDraw(WholeDraw):
    stay: tuple[str, ...]
    rate: float
    seed: int

    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: it is removed."""
        hit = uniform(part.utterance, stream_of(self.seed, "fixed.hit")) < self.rate
        return {m: np.zeros(len(hit), np.bool_) if m in self.stay else hit for m in part.count}

    def measured(self) -> float:
        """Share of the utterances with something to lose that lose it; 0 if there are none."""
        gone = concerned = 0
        others = [m for m in self.layout.modalities if m not in self.stay]
        for _, part in self.layout.parts():
            there = np.any([part.available[m] for m in others], axis=0) if others else np.zeros(len(part.utterance), np.bool_)
            hit = self.lost(part)[others[0]] if others else there
            gone += int((hit & there).sum())
            concerned += int(there.sum())
        return gone / max(concerned, 1)
