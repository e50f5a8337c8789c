"""Which masks training sees, and under which weights are selected: pure functions of the seed and the split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.missing import MaskPlan
from lacuna.missing.layout import Layout


def derived_seed(*parts: int | str) -> int:
    """A 32-bit seed that is a stable function of its parts."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


@dataclass(eq=False)
class TrainingMasks:
    """The masks of one epoch; every rate is bound to the split when a batch first draws it.

    Attributes:
        layout: of the training split.
        pattern: a missingness pattern, or its name.
        rates: what a batch may draw.
        seed: training seed.
        epoch: from 0; another epoch has other masks.
    """

    layout: Layout
    pattern: Any
    rates: tuple[float, ...]
    seed: int
    epoch: int
    _bound: dict[float, Any] = field(default_factory=dict, init=False)

    def rate(self, batch: int) -> float:
        """The rate that the batch of that number draws."""
        return self.rates[derived_seed("rate", self.seed, self.epoch, batch) % len(self.rates)]

    def present(self, batch: int, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """By modality (U, T_m) bool: what stays of the utterances at ``rows``."""
        rate = self.rate(batch)
        if rate not in self._bound:
            plan = MaskPlan(self.pattern, rate, derived_seed("mask", self.seed, self.epoch))
            self._bound[rate] = plan.over(self.layout)
        return {m: torch.from_numpy(p) for m, p in self._bound[rate].present(rows).items()}


def selection_masks(layout: Layout, pattern: Any, rates: tuple[float, ...], seeds: tuple[int, ...]) -> list[Any]:
    """The fixed masks of the validation split, one a rate and seed; the same for every model and training seed."""
    return [MaskPlan(pattern, rate, derived_seed("selection", seed)).over(layout) for rate in rates for seed in seeds]
