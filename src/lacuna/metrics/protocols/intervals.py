"""Bootstrap intervals of any protocol: dialogues, videos or clips are resampled, and everything is scored again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.bootstrap import interval, resample_weights
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.registry import score_tables
from lacuna.metrics.protocols.tables import words

UNITS = ("dialogue", "video", "clip", "id")  # the first of these columns is what is resampled


def score_with_intervals(
    name: str,
    predictions: pd.DataFrame,
    truth: pd.DataFrame | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Return the scores of a protocol with percentile intervals.

    Rows of one dialogue depend on each other, so whole units are drawn with replacement: dialogues, else videos, else clips, else
    ids. A unit that is drawn twice counts as two. The protocol is computed anew on each replicate, which takes as long as
    ``replicates`` calls of :func:`score_tables`.

    Args:
        name: of the protocol.
        predictions: as in :func:`score_tables`.
        truth: likewise.
        replicates: how often to resample.
        level: of the intervals.
        seed: of the resampling.
        **options: of the protocol.

    Returns:
        The columns of :func:`score_tables`, ``low`` and ``high``; both are NaN with fewer than
        :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES` units, or where the value is undefined in too many replicates.

    Raises:
        ConfigError: there is nothing to resample, or the number of replicates is not positive.
        DataError: a row has no unit, for example an empty dialogue.
    """
    if replicates < 1:
        raise ConfigError(f"the number of replicates is at least 1, not {replicates}")
    scores = score_tables(name, predictions, truth, **options)
    unit = next((c for c in UNITS if c in (predictions if truth is None else truth)), None)
    if unit is None:
        raise ConfigError(f"protocol '{name}': no column {', '.join(UNITS)} to resample")
    tables = [table for table in (predictions, truth) if table is not None]
    unit_of_id = dict(zip(words(tables[-1], "id"), words(tables[-1], unit), strict=True)) if "id" in tables[-1] else {}
    owners = [words(t, unit) if unit in t else [unit_of_id.get(i, "") for i in words(t, "id")] for t in tables]
    # an id that the truth lacks belongs to no unit, and is not scored anyway
    names = sorted({owner for of_table in owners for owner in of_table} - {""})
    if "" in owners[-1]:
        raise DataError(f"row {owners[-1].index('') + 1} has no {unit}", expected=f"a value in every row of column '{unit}'")
    rows = [_rows_by_owner(of_table) for of_table in owners]
    keys = [c for c in scores.columns if c not in ("value", "n")]
    draws = np.full((replicates, len(scores)), np.nan)
    wanted = pd.MultiIndex.from_frame(scores[keys])
    for replicate, weights in enumerate(resample_weights(seed, len(names), replicates)):
        resampled = [_resample(t, r, names, weights, unit) for t, r in zip(tables, rows, strict=True)]
        again = score_tables(name, resampled[0], resampled[1] if truth is not None else None, **options)
        draws[replicate] = pd.Series(again["value"].to_numpy(), pd.MultiIndex.from_frame(again[keys])).reindex(wanted)
    low, high = interval(draws, level, len(names))
    return scores.assign(low=low, high=high)


def _rows_by_owner(owners: list[str]) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = {}
    for row, owner in enumerate(owners):
        rows.setdefault(owner, []).append(row)
    return {owner: np.array(own, np.int64) for owner, own in rows.items()}


def _resample(
    table: pd.DataFrame, rows: Mapping[str, NDArray[np.int64]], names: list[str], weights: Array, unit: str
) -> pd.DataFrame:
    """Return the rows of the drawn units; copies get ids of their own."""
    chosen, copies = [], []
    for name, weight in zip(names, weights, strict=True):
        own = rows.get(name, np.zeros(0, np.int64))
        chosen += [own] * int(weight)
        copies += [np.full(len(own), copy) for copy in range(int(weight))]
    taken = table.iloc[np.concatenate(chosen)].copy()
    copy_number = np.concatenate(copies).astype(str)
    for column in {"id", unit} & set(table.columns):
        taken[column] = [f"{value}#{copy}" for value, copy in zip(words(taken, column), copy_number, strict=True)]
    return taken.reset_index(drop=True)
