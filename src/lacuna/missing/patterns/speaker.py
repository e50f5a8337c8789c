"""One party of a dialogue without camera or microphone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lacuna.missing.hashing import bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, SlotDraw, Unit
from lacuna.missing.registry import register


@register("speaker")
@dataclass(frozen=True)
class Speaker(Pattern):
    """One party's channels are off for the whole dialogue.

    ::

        speaker A B A A B A B
        text    # # # # # # #    one symbol = all frames of the modality in that turn
        audio   # . # # . # .    B is chosen; its audio and vision are off
        vision  # . # # . # .

    Of the speakers of a dialogue (in the split) the one with the lowest hash of (dialogue, speaker) is chosen, whatever the
    rate. Each of that party's channels (dialogue, modality) is off in all of its utterances iff v < r, with v ~ U(0, 1). The
    rate is a share of those channels. At rate 1 the chosen party loses all of them and the other parties keep everything.
    Where a corpus does not name speakers, a dialogue has one party.

    Reference: none published that we know of; it models video calls in which one side has its camera or microphone off.

    Attributes:
        modalities: channels that can be off; empty = all.
    """

    modalities: tuple[str, ...] = ()
    source: ClassVar[str] = "this project: video calls with the camera or microphone of one side off"
    unit: ClassVar[Unit] = "party channels"
    removes: ClassVar[Removes] = "modalities"
    independence: ClassVar[Independence] = "channels"
    reaches_rate_1: ClassVar[bool] = False
    needs_dialogues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._sort_names("modalities")

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        self._check_known("modalities", self.modalities, layout)
        dialogues, dialogue_index = np.unique(layout.dialogue, return_inverse=True)  # (D,), (N,)
        speaker_key = layout.speaker ^ bits(layout.dialogue, stream_of(seed, "speaker.dialogue"))
        score = bits(speaker_key, stream_of(seed, "speaker.party"))
        lowest = np.full(len(dialogues), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(lowest, dialogue_index, score)
        is_chosen = score == lowest[dialogue_index]
        removed, n_off, n_channels = {}, 0, 0
        for modality in layout.modalities:
            if self.modalities and modality not in self.modalities:
                removed[modality] = np.zeros(len(layout), np.bool_)
                continue
            off = uniform(dialogues, stream_of(seed, "speaker.channel", modality)) < rate  # (D,)
            removed[modality] = is_chosen & off[dialogue_index]
            has_channel = np.zeros(len(dialogues), np.bool_)
            has_channel[dialogue_index[is_chosen & layout.available[modality]]] = True
            n_off += int((off & has_channel).sum())
            n_channels += int(has_channel.sum())
        return SlotDraw(layout, removed, n_off / max(n_channels, 1))
