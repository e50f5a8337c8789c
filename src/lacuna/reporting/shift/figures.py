"""Figures of shifted tests: each model on every test by missing rate, gaps, detection."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lacuna.reporting.core.frames import Panel, rows_where
from lacuna.reporting.core.style import BASELINE, GREY, PALETTE, SYMBOLS, Style, finish, plain
from lacuna.reporting.core.words import baseline_label, metric_label, panel_label
from lacuna.reporting.robustness.figures import RATE_AXIS, bracket
from lacuna.reporting.shift.facts import IID, OOD, OodReport

COLUMNS = 3


def looks_of(report: OodReport) -> dict[str, Style]:
    """Return a style per test: IID and OOD solid, further tests dashed."""
    dashes = ("solid", "solid", "dash", "dashdot", "longdash")
    return {
        name: Style(PALETTE[i % 8], SYMBOLS[i % 8], dashes[min(i, 4)] if i < 2 else dashes[2 + (i - 2) % 3])
        for i, name in enumerate(report.names)
    }


def curves(report: OodReport, panel: Panel, looks: Mapping[str, Style]) -> go.Figure:
    """Return the main metric on every test by missing rate, one panel per model; bands for IID and OOD."""
    models = report.ranked
    rows = -(-len(models) // COLUMNS)
    figure = make_subplots(
        rows, COLUMNS, shared_xaxes=False, shared_yaxes="all", subplot_titles=[plain(m) for m in models],
        horizontal_spacing=0.04, vertical_spacing=0.22 / rows,
    )  # fmt: skip
    own = rows_where(report.summary, pattern=panel[0], setting=panel[1], metric=report.primary)
    for index, model in enumerate(models):
        at = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
        for test in report.names:
            rows_of_test = rows_where(own, model=model, test=test).sort_values("rate")
            look = looks[test]
            common = {"name": plain(test), "legendgroup": test}
            banded = rows_of_test.dropna(subset=["low", "high"])
            if test in (IID, OOD) and len(banded):
                band = {"x": [*banded["rate"], *banded["rate"][::-1]], "y": [*banded["high"], *banded["low"][::-1]]}
                figure.add_trace(
                    go.Scatter(
                        common,
                        **band,
                        fill="toself",
                        fillcolor=look.band,
                        mode="lines",
                        line={"width": 0},
                        hoverinfo="skip",
                        showlegend=False,
                    ),
                    **at,
                )
            figure.add_trace(
                go.Scatter(
                    common,
                    x=list(rows_of_test["rate"]),
                    y=list(rows_of_test["mean"]),
                    customdata=[
                        [bracket(low, high)] for low, high in zip(rows_of_test["low"], rows_of_test["high"], strict=True)
                    ],
                    mode="lines+markers",
                    line={"color": look.color, "dash": look.dash, "width": 2},
                    marker={"symbol": look.symbol, "size": 7, "color": look.color},
                    hovertemplate=f"<b>{plain(model)}</b>, %{{fullData.name}}<br>%{{y:.3f}}%{{customdata[0]}}<extra></extra>",
                    showlegend=index == 0,
                ),
                **at,
            )
        baseline = rows_where(own, model=model, test=OOD).sort_values("rate")
        grey = {"color": GREY, "dash": "dash", "width": 2}
        figure.add_trace(
            go.Scatter(
                x=list(baseline["rate"]),
                y=list(baseline["constant"]),
                name=baseline_label(report.primary),
                legendgroup=BASELINE,
                mode="lines",
                line=grey,
                showlegend=index == 0,
                hoverinfo="skip",
            ),
            **at,
        )
    figure.update_xaxes(tickformat=".0%")
    for index in range(max(0, len(models) - COLUMNS), len(models)):  # the last panel of each column
        figure.update_xaxes(title_text=RATE_AXIS, row=index // COLUMNS + 1, col=index % COLUMNS + 1)
    for row in range(1, rows + 1):
        figure.update_yaxes(title_text=metric_label(report.primary), row=row, col=1)
    room = 1 - 0.06 / rows  # space for the titles of the first row
    for axis in figure.select_yaxes():
        axis.domain = [room * edge for edge in axis.domain]
    for title in figure.layout.annotations:
        title.y = room * title.y
    alt = f"Line charts, one per model: {metric_label(report.primary)} on every test by missing rate, {panel_label(*panel)}."
    return finish(figure, "Scores by test and missing rate", height=60 + 230 * rows, alt=alt)


def gaps(report: OodReport, panel: Panel, looks: Mapping[str, Style]) -> go.Figure:
    """Return the gap of each model on each test as dots with intervals, mean over rates; the line at 0 is no gap."""
    own = rows_where(report.gaps, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc")
    return _dots(
        report, own.assign(value=own["gap"]), looks, zero=0.0, title=f"Gap in {metric_label(report.primary)}, mean over rates"
    )


def detection(report: OodReport, panel: Panel, score: str, looks: Mapping[str, Style]) -> go.Figure:
    """Return the AUROC of separating each test from the IID test on complete data; the line at 0.5 is chance."""
    own = rows_where(report.detection, pattern=panel[0], setting=panel[1], score=score)
    own = own[own["rate"] == own["rate"].min()]
    return _dots(report, own.assign(value=own["auroc"]), looks, zero=0.5, title=f"AUROC of {score.replace('_', ' ')}")


def _dots(report: OodReport, own: pd.DataFrame, looks: Mapping[str, Style], *, zero: float, title: str) -> go.Figure:
    figure, models = go.Figure(), report.ranked
    tests = [t for t in report.names if t in set(own["test"])]
    step = 0.7 / max(1, len(tests))
    for index, test in enumerate(tests):
        rows_of_test = rows_where(own, test=test).set_index("model").reindex(models)
        y = np.arange(len(models)) + (index - (len(tests) - 1) / 2) * step
        figure.add_trace(
            go.Scatter(
                x=list(rows_of_test["value"]),
                y=list(y),
                name=plain(test),
                legendgroup=test,
                mode="markers",
                marker={"size": 8, "color": looks[test].color, "symbol": looks[test].symbol},
                error_x={
                    "type": "data",
                    "array": list((rows_of_test["high"] - rows_of_test["value"]).fillna(0)),
                    "arrayminus": list((rows_of_test["value"] - rows_of_test["low"]).fillna(0)),
                    "color": looks[test].color,
                    "thickness": 1.5,
                    "width": 0,
                },
                customdata=[
                    [plain(m), bracket(low, high)]
                    for m, low, high in zip(models, rows_of_test["low"], rows_of_test["high"], strict=True)
                ],
                hovertemplate="<b>%{customdata[0]}</b>, %{fullData.name}<br>%{x:.3f}%{customdata[1]}<extra></extra>",
            )
        )
    figure.add_vline(x=zero, line={"color": GREY, "dash": "dash", "width": 2})
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(models))), ticktext=[plain(m) for m in models], range=[len(models) - 0.5, -0.5]
    )
    figure.update_xaxes(title_text=title)
    return finish(
        figure, title, height=120 + (16 * len(tests) + 16) * len(models), alt=f"Dots with intervals: {title}, by model and test."
    )
