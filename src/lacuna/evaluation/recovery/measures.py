"""Measures of recovery quality with intervals over dialogues, from sums by group of dialogues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lacuna.metrics.bootstrap import MIN_DIALOGUES, basic_interval, interval
from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.draws import Ranks
from lacuna.metrics.recovery.mmd import Sample, discrepancy
from lacuna.metrics.recovery.moments import UPWARD, Moments

LEAST_GAIN = 0.02  # share of the error of the mean fill; if the oracle gains less, there is nothing to recover in the data
Measured = tuple[Any, Any, Any]  # value, low, high


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums of one modality and unit.

    Attributes:
        moments: of all pairs.
        sample: some of the pairs, for MMD.
        ranks: of the true values among draws.
    """

    moments: Moments
    sample: Sample
    ranks: Ranks | None = None


@dataclass(frozen=True, eq=False)
class Measuring:
    """Compute measures and intervals of sums.

    Attributes:
        weights: (B, G) float64 bootstrap weights of the groups, the same for every plan and model.
        level: of the intervals.
        permutations: of the null of MMD.
        coverage: nominal levels of central intervals of draws.
        seed: of the permutations of MMD.
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
        """Return value, low and high of each measure."""
        one, level = self.one, self.level
        dialogues = _dialogues(cell.moments)
        point, draws = cell.moments.measures(one), cell.moments.measures(self.weights)
        mmd = discrepancy(cell.sample, self.weights, self.permutations, self.seed)
        result: dict[str, Measured] = {}
        for name, value in point.items():
            low, high = interval(draws[name], level, dialogues)
            result[name] = (value, *(basic_interval(low, high, value) if name in UPWARD else (low, high)))
        result["mmd"] = mmd.value, *interval(mmd.draws, level, dialogues)
        result["mmd_null"] = mmd.null.mean(), *interval(mmd.null, level, dialogues)
        result["mmd_p"] = mmd.p, np.nan, np.nan
        if cell.ranks is not None:
            result = {f"sample_{name}": numbers for name, numbers in result.items()}
            levels = self.coverage
            point, draws = cell.ranks.measures(one, levels), cell.ranks.measures(self.weights, levels)
            result |= {name: (value, *interval(draws[name], level, dialogues)) for name, value in point.items()}
        return result

    def gain(self, mean_fill: Moments, model: Moments) -> Measured:
        """Return 1 - MSE / MSE of the mean fill, with the same replicates for both."""
        point, draws = (1 - _ratio(model.squared(w), mean_fill.squared(w)) for w in (self.one, self.weights))
        return point, *interval(draws, self.level, _dialogues(model))

    def share(self, mean_fill: Moments, model: Moments, oracle: Moments) -> Measured:
        """Return the reduction of MSE as a share of that of the oracle, with the same replicates for all three."""
        dialogues = _dialogues(model)
        (gain, gain_draws), (best, best_draws) = (
            [mean_fill.squared(w) - moments.squared(w) for w in (self.one, self.weights)] for moments in (model, oracle)
        )
        is_better = interval(best_draws, self.level, dialogues)[0] > 0 if dialogues >= MIN_DIALOGUES else best > 1e-12
        if not is_better or best < LEAST_GAIN * mean_fill.squared(self.one):
            return np.nan, np.nan, np.nan
        return gain / best, *interval(_ratio(gain_draws, best_draws), self.level, dialogues)


def _dialogues(moments: Moments) -> int:
    """Return the number of groups of dialogues with at least one pair."""
    return int(np.count_nonzero(moments.per_group))


def _ratio(a: Array, b: Array) -> Array:
    """Return ``a / b``, NaN where b is not positive."""
    a, b = np.asarray(a), np.asarray(b)
    return np.asarray(np.divide(a, b, out=np.full(b.shape, np.nan), where=b > 0))
