"""Measures of what was recovered, with their intervals over dialogues, from sums by group of dialogues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lacuna.evaluation.bootstrap import interval, mirrored
from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.draws import Ranks
from lacuna.metrics.recovery.mmd import Sample, discrepancy
from lacuna.metrics.recovery.moments import UPWARD, Moments

LEAST_LEAD = 0.02  # of the mean fill's error; an oracle that gains less tells of data in which there is nothing to recover
Measured = tuple[Any, Any, Any]  # value, low, high


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums of one modality and unit.

    Attributes:
        moments: of all pairs.
        sample: some pairs, for MMD.
        ranks: of the truth among draws.
    """

    moments: Moments
    sample: Sample
    ranks: Ranks | None = None


@dataclass(frozen=True, eq=False)
class Measuring:
    """How measures are taken of cells.

    Attributes:
        weights: (B, G) of the groups in the bootstrap, the same for every plan and model.
        level: of the intervals.
        permutations: of the null of MMD.
        coverage: levels of central intervals of draws.
        seed: of MMD's permutations.
    """

    weights: Array
    level: float
    permutations: int
    coverage: tuple[float, ...]
    seed: int

    @property
    def one(self) -> Array:
        """(G,) the weights of the point estimate."""
        return np.ones(self.weights.shape[1])

    def measures(self, cell: PairSums) -> dict[str, Measured]:
        """Value, low and high of each measure."""
        one, level = self.one, self.level
        held = int((cell.moments.per_group > 0).sum())
        point, draws = cell.moments.measures(one), cell.moments.measures(self.weights)
        gap = discrepancy(cell.sample, self.weights, self.permutations, self.seed)
        found: dict[str, Measured] = {}
        for name, value in point.items():
            low, high = interval(draws[name], level, held)
            found[name] = (value, *(mirrored(low, high, value) if name in UPWARD else (low, high)))
        found["mmd"] = gap.value, *interval(gap.draws, level, held)
        found["mmd_null"] = gap.null.mean(), *interval(gap.null, level, held)
        found["mmd_p"] = gap.p, np.nan, np.nan
        if cell.ranks is not None:
            found = {f"sample_{name}": numbers for name, numbers in found.items()}
            levels = self.coverage
            point, draws = cell.ranks.measures(one, levels), cell.ranks.measures(self.weights, levels)
            found |= {name: (value, *interval(draws[name], level, held)) for name, value in point.items()}
        return found

    def gain(self, floor: Moments, own: Moments) -> Measured:
        """Share of the mean fill's error that is gone, with the same replicates for both."""
        one, held = self.one, int((own.per_group > 0).sum())
        point, draws = (1 - _ratio(own.squared(w), floor.squared(w)) for w in (one, self.weights))
        return point, *interval(draws, self.level, held)

    def share(self, floor: Moments, own: Moments, ceiling: Moments) -> Measured:
        """Share of the oracle's recovery, with the same replicates for all three."""
        one, held = self.one, int((own.per_group > 0).sum())
        leads = self.weights, one
        lead, whole = ([floor.squared(w) - x.squared(w) for w in leads] for x in (own, ceiling))
        certain = interval(whole[0], self.level, held)[0] > 0 if held > 1 else whole[1] > 1e-12
        if not certain or whole[1] < LEAST_LEAD * floor.squared(one):
            return np.nan, np.nan, np.nan
        return lead[1] / whole[1], *interval(_ratio(lead[0], whole[0]), self.level, held)


def _ratio(a: Array, b: Array) -> Array:
    """``a / b``, NaN where there is nothing to divide by."""
    a, b = np.asarray(a), np.asarray(b)
    return np.asarray(np.divide(a, b, out=np.full(b.shape, np.nan), where=b > 0))
