"""A run's result in a few numbers and two small tables, for tools that compare runs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lacuna.evaluation.metrics import METRICS
from lacuna.evaluation.protocol import FIXED
from lacuna.evaluation.tables import SUBSETS

_DIGITS = 6  # enough for any comparison, and a file that a person can read
_AREAS = ("auilc", SUBSETS)


def brief(summary: pd.DataFrame, areas: pd.DataFrame, metric: str, chosen: str) -> dict[str, Any]:
    """The main metric of every model, as nested numbers.

    Args:
        summary: as :func:`lacuna.evaluation.summarise` makes it.
        areas: as :func:`lacuna.evaluation.areas` makes it.
        metric: which one.
        chosen: the model that validation chose; it stands under ``chosen`` too, so that runs with other models can be compared.

    Returns:
        ``{metric: {model: {"complete": ..., "constant": ..., pattern: {"auilc" or "subset_mean": ..., "low": ..., "high": ...}}}}``
        with the ends of the intervals, and ``{"chosen": {"model": ..., **the numbers of that model}}``. What could not be
        measured is left out.
    """
    own = summary[summary["metric"] == metric]
    whole = own[(own["rate"] == 0) & (own["pattern"] != FIXED)].drop_duplicates("model").set_index("model")
    models: dict[str, Any] = {}
    for model in own["model"].unique():
        numbers = {"complete": whole["mean"].get(model, math.nan), "constant": whole["constant"].get(model, math.nan)}
        models[model] = {name: _round(value) for name, value in numbers.items() if not math.isnan(value)}
    for row in areas[(areas["metric"] == metric) & areas["measure"].isin(_AREAS)].itertuples():
        numbers = {row.measure: row.mean, "low": row.low, "high": row.high}
        place = "-".join([row.pattern, *str(row.setting).split()])
        models[row.model][place] = {name: _round(value) for name, value in numbers.items() if not math.isnan(value)}
    return {metric: models, "chosen": {"model": chosen, **models[chosen]}}


def robustness_table(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The main metric by missing rate: corpus, pattern, setting, model, rate, mean, low, high, constant.

    Args:
        summary: as :func:`lacuna.evaluation.summarise` makes it.
        metric: which one.
    """
    own = summary[(summary["metric"] == metric) & (summary["pattern"] != FIXED)]
    columns = ["corpus", "pattern", "setting", "model", "rate", "mean", "low", "high", "constant"]
    return own[columns].round(_DIGITS).reset_index(drop=True)


def learning_table(history: pd.DataFrame) -> pd.DataFrame:
    """Learning curves: model, seed, epoch, train_loss, valid_loss and the validation metric, without times.

    Args:
        history: a row an epoch, as training leaves it.
    """
    metrics = [metric.name for metric in METRICS if metric.name in history]
    columns = [name for name in ("model", "seed", "epoch", "train_loss", "valid_loss", *metrics) if name in history]
    return history[columns].round(_DIGITS).reset_index(drop=True)


def _round(value: float) -> float:
    return round(float(value), _DIGITS)
