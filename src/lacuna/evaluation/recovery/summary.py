"""Recovery quality summarised over training seeds."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from lacuna.metrics.recovery.moments import UPWARD

KEYS = ["corpus", "model", "pattern", "setting", "rate", "modality", "unit", "measure"]
SUMMARY = [*KEYS, "measured_rate", "mean", "low", "high", "seeds", "n", "dialogues"]
PREFIXES = ("", "sample_")  # of filled-in values, and of one draw


def summarise_recovery(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return means over training seeds; mask seeds, if there are several, are averaged first.

    Args:
        table: of :func:`lacuna.evaluation.score_recovery`.
        level: of its intervals.

    Returns:
        One row for each corpus, model, pattern, setting, rate, modality, unit and measure: measured_rate, mean, low, high, seeds,
        n (pairs), dialogues.

        Bootstrap replicates are not stored, so each half of the interval combines two parts in quadrature: the mean distance to
        the bounds of the seeds' intervals over dialogues (a little too wide for a mean over seeds), and the normal interval of
        the mean over seeds (a little too narrow with few seeds). With one seed only the first part is used. Bounds are NaN where
        those of a seed are NaN.

        ``mmd_null`` is a band, not the interval of a mean: its bounds are the mean bounds of the seeds. ``mmd_p`` is the largest
        p-value of the seeds: if it is small, recovered and true vectors differ significantly for every seed.
    """
    if table.empty:
        return pd.DataFrame(columns=SUMMARY)
    by_seed = _means(table, [*KEYS, "seed"])
    means = _means(by_seed, KEYS)
    groups = by_seed.groupby(KEYS, sort=False)["value"]
    seeds = groups.size().to_numpy()
    spread = NormalDist().inv_cdf((1 + level) / 2) * groups.std(ddof=1).to_numpy() / np.sqrt(seeds)
    spread = np.where(seeds > 1, spread, 0.0)
    measure = means["measure"].to_numpy(dtype=str)
    spread[np.isin(measure, [f"{prefix}{name}" for prefix in PREFIXES for name in ("mmd_null", "mmd_p")])] = 0.0
    mean, low, high = (means[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    wide = mean - np.hypot(np.maximum(0, mean - low), spread), mean + np.hypot(np.maximum(0, high - mean), spread)
    low, high = (np.where(spread == 0, bounds, wider) for bounds, wider in zip((low, high), wide, strict=True))
    positive = np.isin(measure, [f"{prefix}{name}" for prefix in PREFIXES for name in ("mse", *UPWARD)])
    means["low"], means["high"] = np.where(positive, np.maximum(0, low), low), high
    largest = table.groupby(KEYS, sort=False)["value"].max().to_numpy()
    means["mean"] = np.where(np.char.endswith(measure, "mmd_p"), largest, mean)
    sizes = table.groupby(KEYS, sort=False)[["n", "dialogues"]].max()
    return means.assign(seeds=seeds, n=sizes["n"].to_numpy(), dialogues=sizes["dialogues"].to_numpy())[SUMMARY]


def _means(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the means of each group, NaN where one of its numbers is NaN."""
    numbers = ["measured_rate", "value", "low", "high"]
    groups = table.groupby(keys, sort=False)[numbers]
    return groups.mean().where(groups.count().eq(groups.size(), axis=0)).reset_index()
