"""Frames lost one by one: each slot at a rate of its own, or all slots at one rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.missing.hashing import below, bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, Unit
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _FrameDraw(Draw):
    """Remove a frame iff its uniform number is below the probability of its slot.

    Attributes:
        name: of the pattern; it selects the random streams.
        rate: in [0, 1].
        seed: at least 0.
        protect: modalities whose first and last frame stay.
        spread: each slot has a probability of its own with mean ``rate``; otherwise all have ``rate``.
    """

    name: str
    rate: float
    seed: int
    protect: tuple[str, ...] = ()
    spread: bool = False

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        key, count = part.utterance, part.count[modality]
        probability: float | NDArray[np.float64] = self.rate
        if self.spread and self.rate > 0:
            w = uniform(key, stream_of(self.seed, f"{self.name}.rate", modality))
            probability = w ** ((1 - self.rate) / self.rate)
        removed = below(bits(key, stream_of(self.seed, f"{self.name}.frame", modality)), probability, count)
        if modality in self.protect:
            end = np.cumsum(count)
            removed[(end - count)[count > 0]] = False
            removed[(end - 1)[count > 0]] = False
        return removed


@register("rmfm")
@dataclass(frozen=True)
class Rmfm(Pattern):
    """Random modality feature missing: every modality of every utterance loses frames at a rate of its own.

    ::

        text    # . # # . #    the rates of slots differ: light loss, heavy loss and
        audio   # # # # # #    the loss of a whole modality all occur
        vision  . . . # . .

    Slot (u, m) has the rate ``rho = w ** ((1 - r) / r)`` with w ~ U(0, 1); each of its frames is missing iff v < rho, with
    v ~ U(0, 1) per frame. The mean of rho is r. At r = 1/2 rho is uniform on [0, 1]; for r -> 0 or 1 it is 0 or 1. rho rises
    with r, so masks nest.

    Reference: Zhong et al., CIDer (arXiv 2506.10452), which names the task and draws it so; its code does ``rmfm_iid``.
    """

    source: ClassVar[str] = "CIDer, arXiv 2506.10452"
    unit: ClassVar[Unit] = "frames"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "slots"
    reaches_rate_1: ClassVar[bool] = True

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        return _FrameDraw(layout, self.name, rate, seed, spread=True)


@register("rmfm_iid")
@dataclass(frozen=True)
class RmfmIid(Pattern):
    """Every frame is lost independently: it is missing iff v < r, with v ~ U(0, 1) per frame.

    ::

        text    # . # # . #    all slots have the same rate
        audio   . # # . # #
        vision  # # . # # .

    With ``protect_ends=("text",)`` the first and last text frame stay, as CIDer keeps [CLS] and [SEP]. The measured rate is
    then lower than r by the protected frames, also at rate 1.

    Reference: the evaluation code of CIDer (its RMFM and RMFM_same are this distribution), TFR-Net, NIAT and EMT-DLFR.

    Attributes:
        protect_ends: modalities whose first and last frame stay.
    """

    protect_ends: tuple[str, ...] = ()
    source: ClassVar[str] = "code of CIDer, arXiv 2506.10452; TFR-Net; NIAT; EMT-DLFR"
    unit: ClassVar[Unit] = "frames"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "frames"
    reaches_rate_1: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._sort_names("protect_ends")

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        self._check_known("protect_ends", self.protect_ends, layout)
        return _FrameDraw(layout, self.name, rate, seed, protect=self.protect_ends)
