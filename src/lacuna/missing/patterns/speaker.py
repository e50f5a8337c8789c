"""One party of a dialogue without camera or microphone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lacuna.missing.hashing import bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, SlotDraw, Unit
from lacuna.missing.registry import register


@register("speaker")
@dataclass(frozen=True)
class Speaker(Pattern):
    """One party's channels are off for the whole dialogue.

    Of the speakers of a dialogue (in the split) the one with the lowest hash of (dialogue, speaker) is chosen, whatever the
    rate. Each of that party's channels (dialogue, modality) is off, in all of its utterances, iff v < r, v ~ U(0, 1). The
    rate is a share of those channels. Where a corpus does not tell speakers apart, a dialogue has one party.

    Source: video calls in which one side has its camera or microphone off; no published protocol is known to us.
    Rate 1 removes every chosen channel of one party a dialogue; the other parties keep everything.

    Attributes:
        modalities: which channels can be off; empty = all.
    """

    modalities: tuple[str, ...] = ()
    unit: ClassVar[Unit] = "party channels"

    def __post_init__(self) -> None:
        self._names("modalities")

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        self._known("modalities", self.modalities, layout)
        dialogues, of = np.unique(layout.dialogue, return_inverse=True)
        within = layout.speaker ^ bits(layout.dialogue, stream_of(seed, "speaker.dialogue"))
        score = bits(within, stream_of(seed, "speaker.party"))
        lowest = np.full(len(dialogues), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(lowest, of, score)
        party = score == lowest[of]
        removed, off_channels, channels = {}, 0, 0
        for modality in layout.modalities:
            if self.modalities and modality not in self.modalities:
                removed[modality] = np.zeros(len(layout), np.bool_)
                continue
            off = uniform(dialogues, stream_of(seed, "speaker.channel", modality)) < rate
            removed[modality] = party & off[of]
            there = np.zeros(len(dialogues), np.bool_)
            there[of[party & layout.available[modality]]] = True
            off_channels += int((off & there).sum())
            channels += int(there.sum())
        return SlotDraw(layout, removed, off_channels / max(channels, 1))
