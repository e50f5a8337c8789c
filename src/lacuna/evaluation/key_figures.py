"""A run's result in a few numbers and two small tables, for tools that compare runs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lacuna.evaluation.ceiling import CEILINGS
from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.tables import CEILING, SUBSETS
from lacuna.metrics.scores import METRICS

_DIGITS = 6  # enough for any comparison, and a file that a person can read
_AREAS = ("auilc", SUBSETS)


def brief(summary: pd.DataFrame, areas: pd.DataFrame, metric: str, chosen: str | None) -> dict[str, Any]:
    """The main metric of every model, as nested numbers.

    Args:
        summary: as :func:`lacuna.evaluation.summarise` makes it.
        areas: as :func:`lacuna.evaluation.areas` makes it.
        metric: which one.
        chosen: the model that validation chose; it stands under ``chosen`` too, so that runs with other models can be compared.
            ``None`` = validation chose none, and ``chosen`` is left out.

    Returns:
        ``{"chosen": {"model": chosen, ...}, "constant": ..., metric: {model: {...}}}``. The numbers of a model are ``complete``
        (nothing removed) and for each pattern the area under its curve, or the mean over its settings, with the ends of its
        interval: ``{"rmm": ..., "rmm_low": ..., "rmm_high": ...}``. Of the ceilings there is one, and what could not be measured
        is left out.
    """
    own = summary[(summary["metric"] == metric) & ~summary["model"].isin([name for name in CEILINGS if name != CEILING])]
    models: dict[str, dict[str, Any]] = {model: {} for model in own["model"].unique()}
    for row in own[(own["rate"] == 0) & (own["pattern"] != FIXED)].drop_duplicates("model").to_dict("records"):
        models[row["model"]] |= _numbers(complete=row["mean"])
    for row in areas[(areas["metric"] == metric) & areas["measure"].isin(_AREAS)].to_dict("records"):
        if row["model"] in models:
            at = "_".join([row["pattern"], *str(row["setting"]).split()])
            models[row["model"]] |= _numbers(**{at: row["mean"], f"{at}_low": row["low"], f"{at}_high": row["high"]})
    constant = _numbers(constant=own["constant"].iloc[0])
    first = {} if chosen is None else {"chosen": {"model": chosen, **models[chosen]}}
    return {**first, **constant, metric: models}


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


def _numbers(**values: float) -> dict[str, float]:
    """What is a number, rounded."""
    return {name: round(float(value), _DIGITS) for name, value in values.items() if math.isfinite(value)}
