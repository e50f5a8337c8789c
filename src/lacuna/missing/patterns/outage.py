"""A channel that drops out for some turns of a dialogue and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lacuna.errors import ConfigError
from lacuna.missing.hashing import stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, SlotDraw, Unit, is_number
from lacuna.missing.registry import register


@register("outage")
@dataclass(frozen=True)
class Outage(Pattern):
    """Bursts: each channel (dialogue, modality) goes off and on from turn to turn as a two-state Markov chain.

    ::

        turn    1 2 3 4 5 6 7 8 9
        text    # # . . . # # # #    one symbol = all frames of the modality in that turn
        audio   # # # # # # # . .
        vision  . . . . # # . . #

    The chain is stationary with P(off) = r. Off turns to on with probability ``q = min(1 / burst, 1 - r)``, so an outage lasts
    max(burst, 1 / (1 - r)) turns on average; on turns to off with ``p = q r / (1 - r)``. One u ~ U(0, 1) per slot drives the
    chain: the first turn is off iff u < r; a later turn is off if u < p, on if u >= 1 - q, else as the turn before. p rises
    and q falls with r, so masks nest. All turns of the split count, in order, whether or not the modality was present.
    ``burst=1`` is independent loss. An utterance may lose all modalities at any rate above 0.

    Reference: Gilbert's burst-noise channel (Bell System Technical Journal, 1960), coupled over rates.

    Attributes:
        burst: mean length of an outage in turns, at least 1.
    """

    burst: float = 3.0
    source: ClassVar[str] = "Gilbert, Bell System Technical Journal, 1960"
    unit: ClassVar[Unit] = "slots"
    removes: ClassVar[Removes] = "modalities"
    independence: ClassVar[Independence] = "channels"
    reaches_rate_1: ClassVar[bool] = True
    needs_dialogues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not is_number(self.burst) or not 1 <= self.burst < float("inf"):
            raise ConfigError(f"outage.burst must be a finite number of turns, at least 1, found {self.burst!r}")
        object.__setattr__(self, "burst", float(self.burst))

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        to_on = min(1 / self.burst, 1 - rate)
        to_off = to_on * rate / (1 - rate) if rate < 1 else 1.0
        order = np.lexsort((layout.utterance, layout.turn, layout.dialogue))
        dialogue, utterance = layout.dialogue[order], layout.utterance[order]
        is_first = np.ones(len(layout), np.bool_)
        is_first[1:] = dialogue[1:] != dialogue[:-1]
        removed = {}
        for modality in layout.modalities:
            u = uniform(utterance, stream_of(seed, "outage.turn", modality))
            off = u < np.where(is_first, rate, to_off)
            decides = is_first | off | (u >= 1 - to_on)
            deciding_turn = np.maximum.accumulate(np.where(decides, np.arange(len(layout)), 0))
            removed[modality] = np.empty_like(off)
            removed[modality][order] = off[deciding_turn]
        return SlotDraw.of_slots(layout, removed)
