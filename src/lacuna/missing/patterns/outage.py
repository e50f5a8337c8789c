"""A channel that drops out for some turns of a dialogue and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lacuna.errors import ConfigError
from lacuna.missing.hashing import stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, SlotDraw, Unit, is_number
from lacuna.missing.registry import register


@register("outage")
@dataclass(frozen=True)
class Outage(Pattern):
    """Bursts: each channel (dialogue, modality) goes off and on from turn to turn as a two-state Markov chain.

    The chain is stationary with P(off) = r. Off turns on with probability ``q = min(1 / burst, 1 - r)``, so a burst lasts
    max(burst, 1 / (1 - r)) turns on average; on turns off with ``p = q r / (1 - r)``. One u ~ U(0, 1) a slot drives it: in the
    first turn off iff u < r; later off if u < p, on if u >= 1 - q, else as in the turn before. p rises and q falls with r, and
    a channel that was off is never more likely on, so masks nest. The turns of the split count, in order, whether or not the
    modality was there. ``burst=1`` is independent loss.

    Source: Gilbert's burst-noise channel (Bell System Technical Journal, 1960), coupled over rates.
    Rate 1 removes everything; all modalities of an utterance may be lost at lower rates too.

    Attributes:
        burst: mean length of an outage in turns, at least 1.
    """

    burst: float = 3.0
    unit: ClassVar[Unit] = "slots"

    def __post_init__(self) -> None:
        if not is_number(self.burst) or not 1 <= self.burst < float("inf"):
            raise ConfigError(f"outage.burst must be a finite number of turns, at least 1, found {self.burst!r}")
        object.__setattr__(self, "burst", float(self.burst))

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        back = min(1 / self.burst, 1 - rate)
        drop = back * rate / (1 - rate) if rate < 1 else 1.0
        order = np.lexsort((layout.utterance, layout.turn, layout.dialogue))
        dialogue, utterance = layout.dialogue[order], layout.utterance[order]
        first = np.ones(len(layout), np.bool_)
        first[1:] = dialogue[1:] != dialogue[:-1]
        removed = {}
        for modality in layout.modalities:
            u = uniform(utterance, stream_of(seed, "outage.turn", modality))
            off = u < np.where(first, rate, drop)
            decided = first | off | (u >= 1 - back)
            last = np.maximum.accumulate(np.where(decided, np.arange(len(layout)), 0))  # the turn that decided the state
            removed[modality] = np.empty_like(off)
            removed[modality][order] = off[last]
        return SlotDraw.of_slots(layout, removed)
