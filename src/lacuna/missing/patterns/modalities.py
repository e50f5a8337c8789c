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
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, SlotDraw, Unit, WholeDraw
from lacuna.missing.registry import register

_SHIFT = 49  # a score has 63 bits; slots are counted by the leading 14
_HIGHEST = 2**64 - 1


@register("rmm")
@dataclass(frozen=True)
class Rmm(Pattern):
    """Random missing: whole modalities, at least one kept in every utterance, at an exact rate.

    ::

                utt 1   utt 2   utt 3   utt 4
        text    . . .   # # #   # # #   # # #    5 of 12 slots = 0.42
        audio   # # #   # # #   . . .   . . .
        vision  . . .   # # #   . . .   # # #

    Every slot (utterance, modality) that is originally present has two hashed scores. The slot of an utterance with the lowest
    first score is kept; the others are spare. Of the spare slots of the split, the ``round(r A)`` with the lowest second
    scores are removed (ties by utterance key, then modality key), i.e. a uniform choice without replacement; A counts the
    slots originally present. Masks nest. At most ``(A - n) / A`` can be removed, n being the number of utterances with any
    slot: 2/3 for three complete modalities. So "0.7" means one modality everywhere, and rate 1 leaves one per utterance.

    Reference: the protocol of GCNet and IMDer, ``1 - sum s_i / (n |M|)``. GCNet samples by rejection and IMDer takes one
    combination of modalities per batch; this sampler is exact.
    """

    source: ClassVar[str] = "GCNet; IMDer"
    unit: ClassVar[Unit] = "slots"
    removes: ClassVar[Removes] = "modalities"
    independence: ClassVar[Independence] = "split"
    reaches_rate_1: ClassVar[bool] = False
    exact: ClassVar[bool] = True

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split: find the highest second score that is removed; one bool a slot is kept."""
        n_slots = n_spare = 0
        histogram = np.zeros(1 << (63 - _SHIFT), np.int64)  # spare slots by the leading bits of their second score
        for _, part in layout.parts() if rate else ():
            score, spare = _spare(part, seed)
            n_slots += sum(int(available.sum()) for available in part.available.values())
            n_spare += int(spare.sum())
            histogram += np.bincount((score[spare] >> np.uint64(_SHIFT)).astype(np.int64), minlength=len(histogram))
        n_removed = min(round(rate * n_slots), n_spare)
        share = n_removed / max(n_slots, 1)
        if n_removed in (0, n_spare):
            limit = (_HIGHEST,) * 3 if n_removed else None
        else:
            total = np.cumsum(histogram)
            bucket = int(np.searchsorted(total, n_removed))  # the leading bits of the limit
            n_before = int(total[bucket] - histogram[bucket])
            limit = _nth(layout, seed, bucket, n_removed - 1 - n_before)
        return SlotDraw(layout, _removed(layout, seed, limit), share)


def _nth(layout: Layout, seed: int, bucket: int, n: int) -> tuple[int, int, int]:
    """Return score, utterance key and modality key of the n-th spare slot of a bucket, counted from 0 in this order."""
    modality = np.array([key_of(m) for m in layout.modalities], np.uint64)
    pieces = []
    for _, part in layout.parts():
        score, spare = _spare(part, seed)
        row, column = np.nonzero(spare & (score >> np.uint64(_SHIFT) == bucket))
        pieces.append(np.stack([modality[column], part.utterance[row], score[row, column]]))  # (3, K)
    slots = np.concatenate(pieces, axis=1)
    modality_key, utterance_key, slot_score = slots[:, np.lexsort(slots)[n]].tolist()
    return slot_score, utterance_key, modality_key


def _removed(layout: Layout, seed: int, limit: tuple[int, int, int] | None) -> dict[str, NDArray[np.bool_]]:
    """Return by modality (N,) bool: the slot is spare, and not after the limit.

    Args:
        layout: the split.
        seed: of the scores.
        limit: second score, utterance key and modality key of the last slot that is removed; ``None`` = none is removed.
    """
    removed = {m: np.zeros(len(layout), np.bool_) for m in layout.modalities}
    for rows, part in layout.parts() if limit is not None else ():
        score, spare = _spare(part, seed)
        highest, utterance, modality = (np.uint64(x) for x in limit or ())
        for k, m in enumerate(layout.modalities):
            tie_removed = part.utterance <= utterance if key_of(m) <= modality else part.utterance < utterance
            removed[m][rows] = spare[:, k] & ((score[:, k] < highest) | ((score[:, k] == highest) & tie_removed))
    return removed


def _spare(part: Part, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return (U, M) second scores of the slots and (U, M) bool: present, and not the slot that its utterance keeps."""
    spare = np.stack(list(part.available.values()), axis=1)
    first, second = (np.stack([_scores(part, seed, use, m) for m in part.count], axis=1) for use in ("keep", "order"))
    first[~spare] = _HIGHEST
    spare[np.arange(len(spare)), first.argmin(axis=1)] = False
    return second, spare


def _scores(part: Part, seed: int, use: str, modality: str) -> NDArray[np.uint64]:
    """Return (U,) uint64 scores below 2**63 of one modality's slots."""
    return bits(part.utterance, stream_of(seed, f"rmm.{use}", modality)) >> np.uint64(1)


@register("fixed")
@dataclass(frozen=True)
class Fixed(Pattern):
    """Fixed missing: an utterance keeps the chosen modalities only, with probability r.

    ::

                utt 1   utt 2   utt 3   utt 4
        text    # # #   # # #   # # #   # # #    available=("text",), rate 0.5
        audio   . . .   # # #   # # #   . . .
        vision  . . .   # # #   # # #   . . .

    The measured rate is the share of utterances that lose something, among those that have a modality outside ``available``.
    At rate 1 every utterance keeps ``available`` only; an utterance that never had one of those has nothing left.

    Reference: the fixed protocol of GCNet, IMDer and DiCMoR, where r = 1 and each subset has its column; CIDer's SMM.

    Attributes:
        available: modalities that stay, at least one.
    """

    available: tuple[str, ...] = ("text",)
    source: ClassVar[str] = "GCNet; IMDer; DiCMoR; CIDer, arXiv 2506.10452"
    unit: ClassVar[Unit] = "utterances"
    removes: ClassVar[Removes] = "modalities"
    independence: ClassVar[Independence] = "utterances"
    reaches_rate_1: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._sort_names("available")
        if not self.available:
            raise ConfigError("fixed.available must name at least one modality, found none")

    def setting_text(self) -> str:
        """Return the modalities that stay, also if they are the default ones."""
        return "+".join(self.available)

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        self._check_known("available", self.available, layout)
        return _FixedDraw(layout, self.available, rate, seed)


@dataclass(frozen=True, eq=False)
class _FixedDraw(WholeDraw):
    """Remove all modalities outside ``available`` from an utterance iff its uniform number is below the rate."""

    available: tuple[str, ...]
    rate: float
    seed: int

    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """Return by modality (U,) bool: the modality is removed from the utterance."""
        hit = uniform(part.utterance, stream_of(self.seed, "fixed.hit")) < self.rate
        return {m: np.zeros(len(hit), np.bool_) if m in self.available else hit for m in part.count}

    def measured(self) -> float:
        """Return the share of utterances that lose a modality, among those that have one to lose; 0 if there are none."""
        n_hit = n_utterances = 0
        others = [m for m in self.layout.modalities if m not in self.available]
        for _, part in self.layout.parts() if others else ():
            has_others = np.any([part.available[m] for m in others], axis=0)
            n_hit += int((self.lost(part)[others[0]] & has_others).sum())
            n_utterances += int(has_others.sum())
        return n_hit / max(n_utterances, 1)
