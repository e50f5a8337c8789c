"""Key figures of a run: a few numbers and two small tables, for tools that compare runs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lacuna.evaluation.ceiling import CEILINGS
from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.tables import CEILING, SUBSETS
from lacuna.metrics.scores import METRICS

_DIGITS = 6  # decimals of the files
_AREAS = ("auilc", SUBSETS)


def brief(summary: pd.DataFrame, areas: pd.DataFrame, metric: str, chosen: str | None) -> dict[str, Any]:
    """Return the main metric of every model as nested numbers.

    Args:
        summary: of :func:`lacuna.evaluation.summarise`.
        areas: of :func:`lacuna.evaluation.areas`.
        metric: name of the metric.
        chosen: model with the best validation score; repeated under ``chosen``, so that runs with different models can be
            compared. ``None`` leaves ``chosen`` out.

    Returns:
        ``{"chosen": {"model": chosen, ...}, "constant": ..., metric: {model: {...}}}``. The numbers of a model are ``complete``
        (nothing removed) and for each pattern the area under its curve, or the mean over its settings, with the bounds of its
        interval: ``{"rmm": ..., "rmm_low": ..., "rmm_high": ...}``. ``constant`` is the majority-class (or mean) baseline. Only
        the ceiling with context is included; NaN values are left out.
    """
    rows = summary[(summary["metric"] == metric) & ~summary["model"].isin([name for name in CEILINGS if name != CEILING])]
    models: dict[str, dict[str, Any]] = {model: {} for model in rows["model"].unique()}
    for row in rows[(rows["rate"] == 0) & (rows["pattern"] != FIXED)].drop_duplicates("model").to_dict("records"):
        models[row["model"]] |= _numbers(complete=row["mean"])
    for row in areas[(areas["metric"] == metric) & areas["measure"].isin(_AREAS)].to_dict("records"):
        if row["model"] in models:
            key = "_".join([row["pattern"], *str(row["setting"]).split()])
            models[row["model"]] |= _numbers(**{key: row["mean"], f"{key}_low": row["low"], f"{key}_high": row["high"]})
    best = {} if chosen is None else {"chosen": {"model": chosen, **models[chosen]}}
    return {**best, **_numbers(constant=rows["constant"].iloc[0]), metric: models}


def robustness_table(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the main metric by missing rate, without the pattern ``fixed``.

    Args:
        summary: of :func:`lacuna.evaluation.summarise`.
        metric: name of the metric.

    Returns:
        Columns corpus, pattern, setting, model, rate, mean, low, high, constant.
    """
    rows = summary[(summary["metric"] == metric) & (summary["pattern"] != FIXED)]
    columns = ["corpus", "pattern", "setting", "model", "rate", "mean", "low", "high", "constant"]
    return rows[columns].round(_DIGITS).reset_index(drop=True)


def learning_table(history: pd.DataFrame) -> pd.DataFrame:
    """Return the learning curves: model, seed, epoch, train_loss, valid_loss and the validation metric, without times.

    Args:
        history: one row for each epoch, as training writes it.
    """
    metrics = [metric.name for metric in METRICS if metric.name in history]
    columns = [name for name in ("model", "seed", "epoch", "train_loss", "valid_loss", *metrics) if name in history]
    return history[columns].round(_DIGITS).reset_index(drop=True)


def _numbers(**values: float) -> dict[str, float]:
    """Return the finite values, rounded."""
    return {name: round(float(value), _DIGITS) for name, value in values.items() if math.isfinite(value)}
