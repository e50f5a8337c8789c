"""Figures of a hyperparameter study: history, importance, and value by setting."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lacuna.reporting.core.style import GREY, PALETTE, finish, plain

PARAM = "param_"
VALUE = "Value on validation"
ACROSS = 3  # panels in a row


def parameters_of(trials: pd.DataFrame) -> list[str]:
    """Return the names of the searched parameters."""
    return [name.removeprefix(PARAM) for name in trials.columns if name.startswith(PARAM)]


def study_history(trials: pd.DataFrame) -> go.Figure:
    """Return the value of each trial by number, the best so far, and pruned and failed trials.

    Args:
        trials: one row per trial, see :func:`lacuna.tuning.trials_table`.
    """
    figure = go.Figure()
    complete = trials[trials["state"] == "complete"].sort_values("number")
    shown = complete["value"]
    if len(complete):
        figure.add_trace(
            go.Scatter(
                x=complete["number"],
                y=complete["value"].cummax(),
                name="best so far",
                mode="lines",
                line={"color": PALETTE[1], "width": 2, "shape": "hv"},
                hovertemplate="best up to trial %{x}: %{y:.4f}<extra></extra>",
            )
        )
    pruned = trials[trials["state"] == "pruned"]
    for name, rows, color, symbol, text in (
        ("completed", complete[~complete["warm"]], PALETTE[0], "circle", "%{y:.4f}"),
        ("original settings", complete[complete["warm"]], PALETTE[2], "diamond", "%{y:.4f}"),
        ("pruned (last metric)", pruned, GREY, "circle-open", "pruned after %{customdata} epochs, at %{y:.4f}"),
    ):
        if len(rows):
            dots = go.Scatter(x=rows["number"], y=rows["value"], customdata=rows["epochs"], name=name, mode="markers")
            dots.marker = {"color": color, "symbol": symbol, "size": 12 if symbol == "diamond" else 8}
            dots.hovertemplate = f"trial %{{x}}: {text}<extra></extra>"
            figure.add_trace(dots)
    failed, span = trials[trials["state"] == "fail"], _focus(pd.concat([shown, pruned["value"]]))
    if len(failed):
        figure.add_trace(
            go.Scatter(
                x=failed["number"],
                y=[span[0] if span else 0.0] * len(failed),  # they have no value: drawn at the bottom
                cliponaxis=False,
                text=[plain(reason.splitlines()[0]) if reason else "failed" for reason in failed["reason"]],
                name="failed",
                mode="markers",
                marker={"color": PALETTE[5], "symbol": "x", "size": 8},
                hovertemplate="trial %{x}: %{text}<extra></extra>",
            )
        )
    figure.update_xaxes(title_text="Trial")
    figure.update_yaxes(title_text=VALUE, range=span)
    return finish(figure, "Optimisation history", height=420, alt="Dots: the value of each trial. Line: the best so far.")


def study_importance(importances: Mapping[str, float]) -> go.Figure:
    """Return bars of the importance of each parameter.

    Args:
        importances: shares by parameter, see :func:`lacuna.tuning.importances`.
    """
    ordered = sorted(importances.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in ordered],
            y=[plain(name) for name, _ in ordered],
            orientation="h",
            marker={"color": PALETTE[0]},
            text=[f"{share:.0%}" for _, share in ordered],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    top = max([*importances.values(), 0.01])
    figure.update_xaxes(title_text="Importance (fANOVA)", tickformat=".0%", range=[0, 1.15 * top])
    figure.update_layout(showlegend=False)
    return finish(figure, "Hyperparameter importance", height=150 + 32 * len(ordered), alt="Bars: importance of each parameter.")


def study_slices(trials: pd.DataFrame, logarithmic: frozenset[str] = frozenset()) -> go.Figure:
    """Return the value of completed trials by parameter.

    Args:
        trials: one row per trial.
        logarithmic: parameters with a logarithmic axis.
    """
    names = parameters_of(trials)
    complete = trials[trials["state"] == "complete"]
    rows = max(1, math.ceil(len(names) / ACROSS))
    across = min(ACROSS, max(1, len(names)))
    figure = make_subplots(rows=rows, cols=across, shared_yaxes=True, vertical_spacing=0.3 / rows, horizontal_spacing=0.05)
    for index, name in enumerate(names):
        values = complete[PARAM + name]
        categorical = not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
        place = {"row": index // ACROSS + 1, "col": index % ACROSS + 1}
        figure.add_trace(
            go.Scatter(
                x=values.astype(str) if categorical else values,
                y=complete["value"],
                customdata=complete["number"],
                mode="markers",
                marker={
                    "color": [PALETTE[2] if original else PALETTE[0] for original in complete["warm"]],
                    "opacity": 0.75,
                    "size": np.where(complete["warm"], 12, 8),
                    "symbol": ["diamond" if original else "circle" for original in complete["warm"]],
                },
                hovertemplate=f"{plain(name)} %{{x}}: %{{y:.4f}}, trial %{{customdata}}<extra></extra>",
            ),
            **place,
        )
        scale = {"type": "category"} if categorical else _logarithmic(values) if name in logarithmic else {"type": "linear"}
        figure.update_xaxes(title_text=plain(name), **scale, **place)
    figure.update_yaxes(range=_focus(complete["value"]))
    figure.update_yaxes(title_text=VALUE, col=1)
    figure.update_layout(showlegend=False)
    return finish(
        figure,
        "Value by setting",
        height=90 + 250 * rows,
        alt="Dots: the value of each completed trial by setting.",
    )


def _focus(values: pd.Series[float]) -> list[float] | None:
    """Return an axis range that resolves the better half; very poor trials may lie below it."""
    if not len(values):
        return None
    top, middle, low = float(values.max()), float(values.median()), float(values.min())
    bottom = max(low, middle - 4 * (top - middle))
    pad = 0.06 * max(top - bottom, 1e-3)
    return [bottom - pad, top + pad]


def _logarithmic(values: pd.Series[float]) -> dict[str, object]:
    """Return a logarithmic axis with ticks at powers of ten, and at 2 and 5 between them if the range is short."""
    low, high = math.floor(math.log10(values.min())), math.ceil(math.log10(values.max()))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in steps]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
