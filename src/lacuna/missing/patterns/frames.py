"""Frames lost one by one: each modality at a rate of its own, or all at one rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.missing.hashing import below, bits, stream_of, uniform
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Pattern, Unit
from lacuna.missing.registry import register


@dataclass(frozen=True, eq=False)
class _FrameDraw(Draw):
    """Frame t of an utterance and modality is lost iff its uniform number lies below the slot's probability."""

    name: str
    rate: float
    seed: int
    protect: tuple[str, ...] = ()
    spread: bool = False  # a probability of its own for every slot

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed."""
        part = self.layout.at(rows)
        key, count = part.utterance, part.count[modality]
        probability: float | NDArray[np.float64] = self.rate
        if self.spread and self.rate > 0:
            w = uniform(key, stream_of(self.seed, f"{self.name}.rate", modality))
            probability = w ** ((1 - self.rate) / self.rate)
        gone = below(bits(key, stream_of(self.seed, f"{self.name}.frame", modality)), probability, count)
        if modality in self.protect:
            end = np.cumsum(count)
            gone[(end - count)[count > 0]] = False
            gone[(end - 1)[count > 0]] = False
        return gone


@register("rmfm")
@dataclass(frozen=True)
class Rmfm(Pattern):
    """Random modality feature missing: every modality of every utterance loses frames at a rate of its own.

    Slot (u, m) has the rate ``rho = w ** ((1 - r) / r)`` with w ~ U(0, 1), and each of its frames is missing iff v < rho, with
    v ~ U(0, 1) a frame. The mean of rho is r; at r = 1/2 it is uniform on [0, 1]; for r -> 0 or 1 it is 0 or 1. It rises with
    r, so masks nest. Light loss, heavy loss and the loss of a whole modality all occur at every rate between.

    Source: the task that CIDer (Zhong et al., arXiv 2506.10452) names and draws; its code does ``rmfm_iid`` instead.
    Rate 1 removes everything.
    """

    unit: ClassVar[Unit] = "frames"

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        return _FrameDraw(layout, self.name, rate, seed, spread=True)


@register("rmfm_iid")
@dataclass(frozen=True)
class RmfmIid(Pattern):
    """Every frame on its own: missing iff v < r, with v ~ U(0, 1) a frame.

    Source: what CIDer's evaluation code does as RMFM and RMFM_same (the same distribution), and TFR-Net, NIAT and EMT-DLFR.
    With ``protect_ends=("text",)`` the first and last text frame stay, as CIDer keeps [CLS] and [SEP]; the measured rate is
    then lower than r by what was protected.
    Rate 1 removes everything that is not protected.

    Attributes:
        protect_ends: modalities whose first and last frame always stay.
    """

    protect_ends: tuple[str, ...] = ()
    unit: ClassVar[Unit] = "frames"

    def __post_init__(self) -> None:
        self._names("protect_ends")

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split."""
        self._known("protect_ends", self.protect_ends, layout)
        return _FrameDraw(layout, self.name, rate, seed, protect=self.protect_ends)
