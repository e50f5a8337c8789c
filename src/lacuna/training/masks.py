"""The masks of training and of selection: pure functions of the seed and the split."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.missing import Layout, Mask, MaskPlan, Pattern, derive_seed


@dataclass(eq=False)
class TrainingMasks:
    """The masks of one epoch. A rate is bound to the split when a batch first draws it.

    Attributes:
        layout: of the training split.
        pattern: a missingness pattern, or its name.
        rates: what a batch may draw.
        seed: training seed.
        epoch: from 0; another epoch has other masks.
    """

    layout: Layout
    pattern: Pattern | str
    rates: tuple[float, ...]
    seed: int
    epoch: int
    _bound: dict[float, Mask] = field(default_factory=dict, init=False)

    def rate(self, batch: int) -> float:
        """Return the missing rate of a batch, by its number in the epoch."""
        return self.rates[derive_seed(self.seed, "rate", self.epoch, batch) % len(self.rates)]

    def present(self, batch: int, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return by modality (U, T_m) bool: the frames of the utterances at ``rows`` that stay."""
        rate = self.rate(batch)
        if rate not in self._bound:
            plan = MaskPlan(self.pattern, rate, derive_seed(self.seed, "mask", self.epoch))
            self._bound[rate] = plan.over(self.layout)
        return {m: torch.from_numpy(p) for m, p in self._bound[rate].present(rows).items()}


def selection_masks(layout: Layout, pattern: Pattern | str, rates: tuple[float, ...], seeds: tuple[int, ...]) -> list[Mask]:
    """Return the fixed masks of the validation split, one for each rate and seed; the same for every model and training seed."""
    return [MaskPlan(pattern, rate, derive_seed(seed, "selection")).over(layout) for rate in rates for seed in seeds]
