"""Columns of the tables that a report reads, their validation, and selection of rows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lacuna.errors import DataError
from lacuna.evaluation.conditions import FIXED

Panel = tuple[str, str]  # a pattern and its setting
COLUMNS = {
    "summary": ("model", "pattern", "setting", "rate", "measured_rate", "metric", "mean", "low", "high", "constant"),
    "areas": ("model", "pattern", "setting", "metric", "measure", "mean", "low", "high", "constant"),
    "comparisons": ("model_a", "model_b", "pattern", "setting", "metric", "measure", "difference", "low", "high", "p_value"),
    "confusion": ("model", "pattern", "setting", "rate", "true", "predicted", "count"),
    "history": ("model", "seed", "epoch", "metric", "value"),
    "scores": ("model", "seed", "pattern", "setting", "rate", "metric", "value"),
    "recovery": ("model", "pattern", "setting", "rate", "modality", "unit", "measure", "mean", "low", "high", "seeds"),
    "dynamics": ("model", "metric", "mean", "low", "high", "turns", "changed", "dialogues"),
    "calibration": ("model", "pattern", "setting", "rate", "confidence", "accuracy", "count"),
    "risk_coverage": ("model", "pattern", "setting", "rate", "coverage", "risk"),
    "sureness": ("model", "pattern", "setting", "rate", "available", "n", "covered", "size", "answered", "wrong", "merged"),
    "examples": ("id", "text", "missing", "truth", "model", "answer", "confidence"),
    "points": ("model", "pattern", "setting", "rate", "modality", "unit", "pair", "true_x", "true_y", "x", "y", "explained"),
}


def checked(name: str, table: pd.DataFrame, corpus: str) -> pd.DataFrame | None:
    """Return the table with the columns that the report reads, or ``None`` if it has no rows.

    Raises:
        DataError: a column is missing, or the rows come from several corpora.
    """
    if table.empty and name != "summary":
        return None
    if name == "history" and "value" not in table.columns:
        table = long_history(table)
    needed = [c for c in COLUMNS[name] if c not in ("setting", "measured_rate")]
    if missing := [c for c in needed if c not in table.columns]:
        raise DataError(f"the table '{name}' lacks a column", corpus=corpus, expected=missing[0], found=", ".join(table.columns))
    if "corpus" in table.columns and table["corpus"].nunique() > 1:
        found = ", ".join(sorted(map(str, table["corpus"].unique())))
        raise DataError(
            f"the table '{name}' mixes corpora", expected="one corpus per report", found=found, hint="write one report per corpus"
        )
    table = table.reset_index(drop=True)
    if "setting" in COLUMNS[name]:
        table["setting"] = table["setting"].fillna("").astype(str) if "setting" in table.columns else ""
    if name == "summary" and "measured_rate" not in table.columns:
        table["measured_rate"] = table["rate"]
    return whole_curves(table) if name == "comparisons" else table


def long_history(table: pd.DataFrame) -> pd.DataFrame:
    """Return the training log with one row per quantity, from one row per epoch; validation metric and losses first.

    Args:
        table: model, seed, epoch and one column per quantity, as :func:`lacuna.training.fit` returns it.
    """
    keys = [c for c in ("corpus", "model", "seed", "epoch") if c in table.columns]
    first = {"valid_loss": 1, "train_loss": 2, "learning_rate": 4, "seconds": 5}
    names = [str(c) for c in table.columns if c not in keys]
    order = sorted(names, key=lambda c: first.get(c, 3 if "/" in c else 0))
    return table.melt(id_vars=keys, value_vars=order, var_name="metric", value_name="value").dropna(subset=["value"])


def whole_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Return comparisons of whole curves, and comparisons at single rates only where there is no whole curve."""
    single = table["measure"] == "at_rate"
    mean = table["measure"] == "subset_mean"  # has no setting of its own
    covered = set(distinct(table[~single & ~mean], "pattern", "setting"))
    pairs = zip(table["pattern"], table["setting"], strict=True)
    whole = pd.Series([pair in covered for pair in pairs], index=table.index, dtype=bool)
    if (mean & (table["pattern"] == FIXED)).any():
        whole |= table["pattern"] == FIXED
    return table[~(single & whole)].reset_index(drop=True)


def panels(table: pd.DataFrame) -> list[Panel]:
    """Return the (pattern, setting) pairs with a missing rate, in order of appearance; fixed subsets are excluded."""
    return [(pattern, setting) for pattern, setting in distinct(table, "pattern", "setting") if pattern != FIXED]


def rows_where(table: pd.DataFrame, **equal: Any) -> pd.DataFrame:
    """Return the rows in which each named column has the given value."""
    keep = pd.Series(True, index=table.index)
    for column, value in equal.items():
        keep &= table[column] == value
    return table[keep]


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples."""
    return list(table.itertuples(index=False))


def distinct(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Return the distinct combinations of some columns, in order of appearance."""
    return list(table[list(columns)].drop_duplicates().itertuples(index=False, name=None))


def subset_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of fixed subsets, each at its highest rate, where the other modalities are absent from most utterances."""
    fixed = table[table["pattern"] == FIXED]
    return fixed[fixed["rate"] == fixed.groupby("setting")["rate"].transform("max")]
