"""Measures of recovery over training seeds."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from lacuna.metrics.recovery.moments import UPWARD

KEYS = ["corpus", "model", "pattern", "setting", "rate", "modality", "unit", "measure"]
SUMMARY = [*KEYS, "measured_rate", "mean", "low", "high", "seeds", "n"]
KINDS = ("", "sample_")  # of a recovery, and of one draw


def summarise_recovery(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Means over training seeds. Mask seeds, if there are several, are averaged first.

    Args:
        table: of :func:`lacuna.evaluation.score_recovery`.
        level: of its intervals.

    Returns:
        One row a corpus, model, pattern, setting, rate, modality, unit and measure: measured_rate, mean, low, high, seeds, n.

        The replicates of the single seeds are not kept. So the interval is put together of two parts, in quadrature on each
        side: the mean distance to the ends of the seeds' intervals over dialogues (which is a little too wide for a mean over
        seeds), and the normal interval of a mean whose spread is that between the seeds (with few seeds a little too
        narrow). With one seed it is over dialogues only. It is NaN where that of a seed is.

        ``mmd_null`` is a band, not the interval of a mean: the mean ends of the seeds' bands. ``mmd_p`` is the largest of the
        seeds, so a small one says that every seed alone would be told apart.
    """
    if table.empty:
        return pd.DataFrame(columns=SUMMARY)
    whole = _means(table, [*KEYS, "seed"])
    means = _means(whole, KEYS)
    groups = whole.groupby(KEYS, sort=False)["value"]
    seeds = groups.size().to_numpy()
    spread = NormalDist().inv_cdf((1 + level) / 2) * groups.std(ddof=1).to_numpy() / np.sqrt(seeds)
    spread = np.where(seeds > 1, spread, 0.0)
    measure = means["measure"].to_numpy(dtype=str)
    spread[np.isin(measure, [f"{kind}{name}" for kind in KINDS for name in ("mmd_null", "mmd_p")])] = 0.0
    mean, low, high = (means[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    wide = mean - np.hypot(np.maximum(0, mean - low), spread), mean + np.hypot(np.maximum(0, high - mean), spread)
    low, high = (np.where(spread == 0, ends, wider) for ends, wider in zip((low, high), wide, strict=True))
    positive = np.isin(measure, [f"{kind}{name}" for kind in KINDS for name in ("mse", *UPWARD)])
    means["low"], means["high"] = np.where(positive, np.maximum(0, low), low), high
    largest = table.groupby(KEYS, sort=False)["value"].max().to_numpy()
    means["mean"] = np.where(np.char.endswith(measure, "mmd_p"), largest, mean)
    return means.assign(seeds=seeds, n=table.groupby(KEYS, sort=False)["n"].max().to_numpy())[SUMMARY]


def _means(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means of what is measured, NaN where one of the numbers is."""
    numbers = ["measured_rate", "value", "low", "high"]
    groups = table.groupby(keys, sort=False)[numbers]
    return groups.mean().where(groups.count().eq(groups.size(), axis=0)).reset_index()
