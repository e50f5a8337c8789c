"""Figures of the leaderboard: average ranks with groups without significant differences, and areas by corpus."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from lacuna.reporting.core.frames import records
from lacuna.reporting.core.style import GREY, Style, finish, plain
from lacuna.reporting.core.words import baseline_label, measure_label, metric_label
from lacuna.reporting.leaderboard.tables import Board, Leaderboard
from lacuna.reporting.robustness.figures import bracket, dot

_STEP = 0.18  # between two bars, in ranks


def ladder(page: Leaderboard, looks: Mapping[str, Style]) -> go.Figure:
    """Return average ranks as dots with intervals, best on top; a bar joins models without a significant difference.

    Args:
        page: with at least two ranked models.
        looks: style by model.
    """
    table, figure = page.ranks, go.Figure()
    order = list(table["model"])
    for row in records(table):
        trace = dot(row.model, looks[row.model])
        up, down = np.nan_to_num(row.high - row.rank), np.nan_to_num(row.rank - row.low)
        trace.update(x=[row.rank], customdata=[[bracket(row.low, row.high)]])
        trace.error_x.update(array=[max(0.0, up)], arrayminus=[max(0.0, down)], symmetric=False)
        figure.add_trace(trace)
    edge = len(order) + 0.35
    for i, group in enumerate(page.groups):
        x = edge + i * _STEP * max(1, len(order) / 6)
        figure.add_trace(
            go.Scatter(
                x=[x] * len(group),
                y=[plain(m) for m in group],
                mode="lines+markers",
                line={"color": GREY, "width": 5},
                marker={"size": 7, "color": GREY},
                hovertemplate=f"no significant difference: {plain(', '.join(group))}<extra></extra>",
                showlegend=False,
            )
        )
    last = edge + max(1, len(page.groups)) * _STEP * max(1, len(order) / 6)
    ticks = list(range(1, len(order) + 1))
    figure.update_xaxes(title_text="Average rank (1 is best)", range=[0.7, last], tickvals=ticks, zeroline=False)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[plain(m) for m in order], range=[len(order) - 0.4, -0.6]
    )
    figure.update_layout(showlegend=False)
    alt = (
        "Dots with intervals: the average rank of each model; bars join models without a significant difference in paired tests."
    )
    return finish(figure, "Average ranks", height=150 + 34 * len(order), alt=alt)


def areas_of(board: Board, looks: Mapping[str, Style]) -> go.Figure:
    """Return the area of every model on one corpus as dots with intervals; the dashed line is the baseline."""
    one, figure = board.standing, go.Figure()
    low, high = board.interval(one.draws.mean(axis=2))
    for model in board.order:
        i, trace = one.models.index(model), dot(model, looks[model])
        mean = float(one.scores[i])
        trace.update(x=[mean], customdata=[[bracket(low[i], high[i])]])
        trace.error_x.update(array=[float(np.nan_to_num(high[i] - mean))], arrayminus=[float(np.nan_to_num(mean - low[i]))])
        figure.add_trace(trace)
    figure.add_vline(x=one.baseline, line={"color": GREY, "dash": "dash", "width": 2})
    axis_title = f"{metric_label(one.metric)}<br>{measure_label(one.measure)}" + (
        ", mean of patterns" if len(one.panels) > 1 else ""
    )
    figure.update_xaxes(title_text=axis_title)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(showlegend=False)
    alt = f"Dots with intervals: {metric_label(one.metric)} of each model on {board.name}; dashed: {baseline_label(one.metric)}."
    return finish(figure, board.name, height=140 + 26 * max(3, len(one.models)), alt=alt)
