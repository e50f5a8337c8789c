"""Figures on probabilities and classes: reliability diagram, risk-coverage curve, class balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from lacuna.reporting.core.frames import distinct, rows_where
from lacuna.reporting.core.style import GREY, PALETTE, SPLIT, Style, button, finish, menu, plain, styles
from lacuna.reporting.core.words import panel_label, percent
from lacuna.reporting.robustness.figures import short


def reliability(calibration: pd.DataFrame, *, looks: Mapping[str, Style] | None = None) -> go.Figure:
    """Return accuracy against mean confidence, one line per model; on the diagonal, confidence equals accuracy.

    Args:
        calibration: one row per bin, see :data:`lacuna.reporting.core.frames.COLUMNS`; empty bins are left out.
        looks: style by model.
    """
    figure = _lines_by_condition(calibration[calibration["count"] > 0], ("confidence", "accuracy", "count"), looks)
    for trace in figure.data:
        trace.hovertemplate = (
            "<b>%{fullData.name}</b><br>confidence %{x:.0%}, accuracy %{y:.0%}<br>n = %{customdata}<extra></extra>"
        )
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": GREY, "dash": "dash", "width": 1.5}, layer="below")
    figure.update_xaxes(title_text="Mean confidence", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="Accuracy", tickformat=".0%", range=[-0.02, 1.02])
    alt = "Line chart: accuracy against mean confidence in bins, one line per model."
    return finish(figure, "Reliability diagram", height=400, alt=alt)


def risk_coverage(table: pd.DataFrame, *, looks: Mapping[str, Style] | None = None) -> go.Figure:
    """Return the error rate against the share of most confident utterances that are kept, one line per model.

    Args:
        table: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        looks: style by model.
    """
    figure = _lines_by_condition(table, ("coverage", "risk", "coverage"), looks)
    for trace in figure.data:
        trace.hovertemplate = "<b>%{fullData.name}</b><br>error rate %{y:.1%} at coverage %{x:.0%}<extra></extra>"
    figure.update_xaxes(title_text="Coverage", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title_text="Error rate (risk)", tickformat=".1~%", rangemode="tozero")
    alt = "Line chart: error rate against coverage, one line per model."
    return finish(figure, "Risk-coverage curve", height=400, alt=alt)


def _lines_by_condition(table: pd.DataFrame, columns: tuple[str, str, str], looks: Mapping[str, Style] | None) -> go.Figure:
    """Return one line per model; the menus select what was missing and the missing rate."""
    looks = looks or styles(table["model"])
    models = [m for m in looks if m in set(table["model"])]
    figure, buttons = go.Figure(), []
    for model in models:
        look = looks[model]
        line, marker = (
            {"color": look.color, "dash": look.dash, "width": 2},
            {"symbol": look.symbol, "color": look.color, "size": 7},
        )
        common = {"name": plain(model), "legendgroup": model, "meta": {"role": "line"}}
        figure.add_trace(go.Scatter(common, mode="lines+markers", line=line, marker=marker))
    for pattern, setting, rate in distinct(table, "pattern", "setting", "rate"):
        rows = rows_where(table, pattern=pattern, setting=setting, rate=rate)
        curves = [rows[rows["model"] == m].sort_values(columns[0]) for m in models]
        update = {key: [short(c[column]) for c in curves] for key, column in zip(("x", "y", "customdata"), columns, strict=True)}
        buttons.append(button(SPLIT.join([panel_label(pattern, setting), percent(rate)]), update, {}))
    for i, trace in enumerate(figure.data):
        trace.update({key: values[i] for key, values in buttons[0]["args"][0].items()})
    figure.update_layout(updatemenus=[menu(buttons, "Missing data", "Missing rate")])
    return figure


def class_balance(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> go.Figure:
    """Return the share of each class in each split as bars.

    Args:
        counts: number of utterances by split and class.
        classes: class names in the order of their codes.
    """
    figure = go.Figure()
    for i, (split, of_class) in enumerate(counts.items()):
        total = max(1, sum(of_class))
        figure.add_trace(
            go.Bar(
                x=[plain(c) for c in classes],
                y=[n / total for n in of_class],
                customdata=list(of_class),
                name=plain(split),
                marker={"color": (GREY, "#b9bec5", PALETTE[0])[i] if len(counts) == 3 else PALETTE[i]},
                hovertemplate="<b>%{x}</b>, %{fullData.name}<br>%{y:.1%} (%{customdata} utterances)<extra></extra>",
            )
        )
    figure.update_xaxes(type="category")
    figure.update_yaxes(title_text="Share of utterances", tickformat=".1~%", rangemode="tozero")
    figure.update_layout(barmode="group", showlegend=len(counts) > 1)
    return finish(figure, "Class balance", height=320, alt="Bar chart: share of each class in each split.")
