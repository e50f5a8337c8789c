"""The beginning of every utterance is lost, as when a recorder starts late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, Unit
from lacuna.missing.registry import register


@register("late_start")
@dataclass(frozen=True)
class LateStart(Pattern):
    """The first ``round(r T)`` of the T frames of every modality are removed. There is nothing random in it."""

    source: ClassVar[str] = "an example of the documentation"
    unit: ClassVar[Unit] = "frames"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "utterances"
    reaches_rate_1: ClassVar[bool] = True
    random: ClassVar[bool] = False

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split."""
        return _LateStartDraw(layout, rate)


@dataclass(frozen=True, eq=False)
class _LateStartDraw(Draw):
    rate: float

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        count = self.layout.at(rows).count[modality]  # (U,)
        position = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        return position < np.repeat(np.round(self.rate * count), count)
