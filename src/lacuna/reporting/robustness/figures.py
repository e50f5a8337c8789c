"""Figures with lines and dots: metric against missing rate, areas, recall by class, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lacuna.reporting.core.frames import Panel, distinct, panels, rows_where
from lacuna.reporting.core.style import GREY, PALETTE, SYMBOLS, Style, button, finish, menu, plain, styles
from lacuna.reporting.core.words import CONSTANT, capital, measure_label, metric_label, panel_label

RATE_AXIS = "Missing rate asked for"


def curves(
    summary: pd.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    only: Panel | None = None,
    looks: Mapping[str, Style] | None = None,
) -> go.Figure:
    """Each metric against the missing rate, with intervals and the constant baseline; one panel a pattern.

    Args:
        summary: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        metrics: what the dropdown offers, the first is shown; default all.
        only: a single (pattern, setting) to draw; the axis still spans all of them.
        looks: a style by model.
    """
    names = list(metrics or dict.fromkeys(summary["metric"]))
    looks = looks or styles(summary["model"])
    shown = [only] if only else panels(summary)
    titles = None if only else [capital(plain(panel_label(*p))) for p in shown]
    figure = make_subplots(cols=max(1, len(shown)), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    data: dict[str, list[dict[str, Any]]] = {name: [] for name in names}  # by metric, what each trace shows
    for column, panel in enumerate(shown, 1):
        here = rows_where(summary, pattern=panel[0], setting=panel[1])
        for trace in _curve_traces(here, looks, first=column == 1):
            figure.add_trace(trace, row=1, col=column)
        for name in names:
            data[name] += _curve_data(here[here["metric"] == name], [m for m in looks if m in set(here["model"])])
    buttons = []
    for name in names:
        # 'visible' stays free for the legend: the dropdown changes data only
        update = {key: [d.get(key) for d in data[name]] for key in ("x", "y", "customdata")}
        axis = {"yaxis.title.text": metric_label(name), "yaxis.range": _span(summary[summary["metric"] == name])}
        buttons.append(button(metric_label(name), update, axis))
    if buttons:
        for trace, values in zip(figure.data, data[names[0]], strict=True):
            trace.update(values)
        figure.update_yaxes(range=buttons[0]["args"][1]["yaxis.range"])
        figure.update_yaxes(title_text=metric_label(names[0]), row=1, col=1)
    figure.update_xaxes(title_text=RATE_AXIS, tickformat=".0%", range=_margin(summary["rate"]))
    figure.update_layout(updatemenus=[menu(buttons, "Metric")], hovermode="closest")
    where = ", ".join(panel_label(*p) for p in shown)
    return finish(
        figure,
        "Metric against missing rate",
        height=360,
        alt=f"Line chart: a metric against the missing rate, one line a model, for {where}.",
    )


def _margin(rates: pd.Series[float]) -> list[float]:
    """A range that leaves room for the symbols at both ends."""
    last = max(float(rates.max()), 0.1)
    return [-0.03 * last, 1.03 * last]


def _curve_traces(here: pd.DataFrame, looks: Mapping[str, Style], *, first: bool) -> list[go.Scatter]:
    """A band for each model, a line for each, and the constant's; the data come from :func:`_curve_data`."""
    models = [m for m in looks if m in set(here["model"])]
    bands, lines = [], []
    hover = "<b>%{fullData.name}</b><br>%{y:.3f}%{customdata[0]}<br>asked %{x:.0%}, measured %{customdata[1]}<extra></extra>"
    for model in models:
        look = looks[model]
        common = {"name": plain(model), "legendgroup": model, "showlegend": False}
        bands.append(go.Scatter(common, fill="toself", fillcolor=look.band, line={"width": 0}, mode="lines", hoverinfo="skip"))
        line = {"color": look.color, "dash": look.dash, "width": 2}
        marker = {"symbol": look.symbol, "size": 8, "color": look.color}
        common["showlegend"] = first
        lines.append(go.Scatter(common, mode="lines+markers", line=line, marker=marker, hovertemplate=hover))
    constant = {"color": GREY, "dash": "dash", "width": 2}
    hover = f"<b>{CONSTANT}</b><br>%{{y:.3f}}<extra></extra>"
    name = {"name": CONSTANT, "legendgroup": CONSTANT, "showlegend": first}
    return [*bands, *lines, go.Scatter(name, mode="lines", line=constant, hovertemplate=hover)]


def _curve_data(own: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """What each of the traces shows for one metric, in the order of :func:`_curve_traces`."""
    bands: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for model in models:
        rows = rows_where(own, model=model).sort_values("rate")
        sure = rows.dropna(subset=["low", "high"])
        bands.append({"x": [*sure["rate"], *sure["rate"][::-1]], "y": [*sure["high"], *sure["low"][::-1]]})
        text = [
            [bracket(low, high), f"{measured:.0%}"]
            for low, high, measured in zip(rows["low"], rows["high"], rows["measured_rate"], strict=True)
        ]
        lines.append({"x": list(rows["rate"]), "y": list(rows["mean"]), "customdata": text})
    constant = own.groupby("rate")["constant"].mean()
    return [*bands, *lines, {"x": list(constant.index), "y": list(constant)}]


def _span(own: pd.DataFrame) -> list[float] | None:
    """A range that holds every curve of a metric, so that panels can be compared."""
    values = own[["mean", "low", "high", "constant"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    pad = max(0.05 * float(np.ptp(values)), 0.005)
    return [float(values.min()) - pad, float(values.max()) + pad]


def areas(table: pd.DataFrame, *, only: Panel | None = None, looks: Mapping[str, Style] | None = None) -> go.Figure:
    """Area measures as dots with intervals, one row a model; a grey tick marks the constant baseline.

    Args:
        table: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        only: a single (pattern, setting); default the first.
        looks: a style by model.
    """
    looks = looks or styles(table["model"])
    pattern, setting = only or distinct(table, "pattern", "setting")[0]
    here = rows_where(table, pattern=pattern, setting=setting)
    models = [m for m in looks if m in set(here["model"])]
    updates = []
    for measure, metric in distinct(here, "measure", "metric"):
        rows = rows_where(here, measure=measure, metric=metric).set_index("model").reindex(models)
        up, down = (rows["high"] - rows["mean"]).fillna(0), (rows["mean"] - rows["low"]).fillna(0)
        hover = [[[bracket(low, high)]] for low, high in zip(rows["low"], rows["high"], strict=True)]
        nothing: list[list[float]] = [[] for _ in models]
        update = {  # first the models' traces, then the constant's tick on each row
            "x": [[v] for v in (*rows["mean"], *rows["constant"])],
            "customdata": [*hover, *([[""]] for _ in models)],
            "error_x.array": [*([v] for v in up), *nothing],
            "error_x.arrayminus": [*([v] for v in down), *nothing],
        }
        words = (measure_label(measure), metric_label(metric))
        updates.append(button(" · ".join(words), update, {"xaxis.title.text": "<br>".join(words)}))
    figure = go.Figure([*(dot(m, looks[m]) for m in models), *(_tick(m) for m in models)])
    if updates:
        for i, trace in enumerate(figure.data):
            trace.update({key.replace(".", "_"): values[i] for key, values in updates[0]["args"][0].items()})
        figure.update_xaxes(title_text=updates[0]["args"][1]["xaxis.title.text"])
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(updatemenus=[menu(updates, "Measure")], showlegend=False)
    alt = f"Dots with intervals: an area measure for each model, pattern {panel_label(pattern, setting)}."
    return finish(figure, capital(plain(panel_label(pattern, setting))), height=130 + 28 * max(3, len(models)), alt=alt)


def dot(model: str, look: Style) -> go.Scatter:
    """The trace of a model in :func:`areas`, still without a place."""
    return go.Scatter(
        y=[plain(model)],
        name=plain(model),
        legendgroup=model,
        mode="markers",
        marker={"size": 8, "color": look.color, "symbol": look.symbol},
        error_x={"type": "data", "color": look.color, "thickness": 2, "width": 6},
        hovertemplate="<b>%{y}</b><br>%{x:.3f}%{customdata[0]}<extra></extra>",
    )


def _tick(model: str) -> go.Scatter:
    """The constant's tick on a model's row in :func:`areas`; it comes and goes with the model."""
    return go.Scatter(
        y=[plain(model)],
        name=CONSTANT,
        legendgroup=model,
        meta={"constant": True},
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": GREY, "line": {"width": 2}},
        hovertemplate=f"<b>{CONSTANT}</b><br>%{{x:.3f}}<extra></extra>",
    )


def bracket(low: float, high: float) -> str:
    """An interval as it stands after a number; empty if there is none."""
    return "" if np.isnan(low) or np.isnan(high) else f" [{low:.3f}, {high:.3f}]"


def recall_by_class(confusion: pd.DataFrame, classes: Sequence[str], *, models: Sequence[str] | None = None) -> go.Figure:
    """Share of each class that is recognised, against the missing rate; the dropdown chooses model and pattern.

    Args:
        confusion: counts; fixed subsets are left out, for they have no rate.
        classes: class names in the order of their codes.
        models: order of the dropdown; default as they come.
    """
    own = confusion.copy()
    own["hit"] = own["count"].where(own["true"].astype(str) == own["predicted"].astype(str), 0)
    keys = ["model", "pattern", "setting", "rate", "true"]
    sums = own.groupby(keys, sort=False)[["hit", "count"]].sum().reset_index()
    figure = go.Figure()
    for i, name in enumerate(classes):
        figure.add_trace(
            go.Scatter(
                name=plain(name),
                mode="lines+markers",
                line={"color": PALETTE[i % 8], "width": 2, "dash": "solid" if i < 8 else "dot"},
                marker={"symbol": SYMBOLS[i % 8], "size": 7},
                hovertemplate="<b>%{fullData.name}</b><br>%{y:.1%} recognised at %{x:.0%} missing<extra></extra>",
            )
        )
    buttons = []
    measured = dict.fromkeys(sums["model"])
    for model in measured if models is None else [m for m in models if m in measured]:
        for pattern, setting in panels(sums):
            rows = rows_where(sums, model=model, pattern=pattern, setting=setting)
            by_class = [rows[rows["true"].astype(str) == str(name)].sort_values("rate") for name in classes]
            y = [list((r["hit"] / r["count"].where(r["count"] > 0)).astype(object).where(r["count"] > 0, None)) for r in by_class]
            buttons.append(button(choice(model, pattern, setting), {"x": [list(r["rate"]) for r in by_class], "y": y}, {}))
    if buttons:
        for i, trace in enumerate(figure.data):
            trace.update(x=buttons[0]["args"][0]["x"][i], y=buttons[0]["args"][0]["y"][i])
    figure.update_xaxes(title_text=RATE_AXIS, tickformat=".0%", range=_margin(confusion["rate"]))
    figure.update_yaxes(title_text="Recognised (recall)", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_layout(updatemenus=[menu(buttons, "Model and pattern")])
    return finish(
        figure,
        "Recognised by class",
        height=440,
        alt="Line chart: share of each class that is recognised against the missing rate.",
    )


def choice(model: str, pattern: str, setting: str) -> str:
    """The label of a model and pattern in a dropdown; the same in every figure, so that one control can drive several."""
    return f"{model} · {panel_label(pattern, setting)}"


def training(
    history: pd.DataFrame,
    *,
    looks: Mapping[str, Style] | None = None,
    chosen: Mapping[tuple[str, int], int] | None = None,
) -> go.Figure:
    """Each logged quantity against the epoch, one line a model and seed; a ring marks the epoch that was kept.

    Args:
        history: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        looks: a style by model.
        chosen: the kept epoch by (model, seed).
    """
    looks, chosen = looks or styles(history["model"]), chosen or {}
    quantities = list(dict.fromkeys(history["metric"]))
    runs = distinct(history, "model", "seed")
    figure, seen = go.Figure(), set[str]()
    data: dict[str, list[tuple[list[Any], list[Any], list[int]]]] = {q: [] for q in quantities}
    for model, seed in runs:
        look = looks[model]
        figure.add_trace(
            go.Scatter(
                name=plain(model),
                legendgroup=model,
                showlegend=model not in seen,
                mode="lines+markers",
                opacity=0.75,
                line={"color": look.color, "width": 1.5, "dash": look.dash},
                marker={"symbol": "circle-open", "color": look.color, "line": {"width": 2}},
                hovertemplate=f"<b>%{{fullData.name}}</b>, seed {seed}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )
        )
        seen.add(model)
        own = rows_where(history, model=model, seed=seed).sort_values("epoch")
        for q in quantities:
            rows = own[own["metric"] == q]
            ring = [11 if e == chosen.get((model, seed)) else 0 for e in rows["epoch"]]
            data[q].append((list(rows["epoch"]), list(rows["value"]), ring))
    buttons = []
    for q in quantities:
        update = dict(zip(("x", "y", "marker.size"), map(list, zip(*data[q], strict=True)), strict=True))
        buttons.append(button(metric_label(q), update, {"yaxis.title.text": metric_label(q)}))
    if buttons:
        for trace, (x, y, size) in zip(figure.data, data[quantities[0]], strict=True):
            trace.update(x=x, y=y, marker_size=size)
        figure.update_yaxes(title_text=metric_label(quantities[0]))
    figure.update_xaxes(title_text="Epoch", rangemode="tozero")
    figure.update_layout(updatemenus=[menu(buttons, "Quantity")])
    return finish(
        figure, "Training", height=380, alt="Line chart: losses and validation values by epoch, one line a model and seed."
    )
