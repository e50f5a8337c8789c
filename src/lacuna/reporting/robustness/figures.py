"""Line and dot charts: metric against missing rate, areas, recall by class, training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lacuna.reporting.core.frames import Panel, distinct, panels, rows_where
from lacuna.reporting.core.style import BASELINE, GREY, PALETTE, SPLIT, SYMBOLS, Style, button, finish, menu, plain, styles
from lacuna.reporting.core.words import baseline_label, capital, higher_is_better, measure_label, metric_label, panel_label

RATE_AXIS = "Missing rate"
VIEWS = ("score", "gain over the baseline")
STEP = 0.005  # smaller increases of the missing rate count as none


def curves(
    summary: pd.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    only: Panel | None = None,
    looks: Mapping[str, Style] | None = None,
) -> go.Figure:
    """Return each metric against the missing rate that was reached, with intervals and baseline; one panel per pattern.

    Args:
        summary: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        metrics: entries of the first menu, the first is shown; default: all. The second menu selects score or gain.
        only: a single (pattern, setting) to draw; both axes still span all of them.
        looks: style by model.
    """
    names = list(metrics or dict.fromkeys(summary["metric"]))
    looks = looks or styles(summary["model"])
    shown = [only] if only else panels(summary)
    titles = None if only else [capital(plain(panel_label(*p))) for p in shown]
    figure = make_subplots(cols=max(1, len(shown)), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    views = [(name, view) for name in names for view in VIEWS]
    data: dict[tuple[str, str], list[dict[str, Any]]] = {view: [] for view in views}  # what each trace shows
    for column, panel in enumerate(shown, 1):
        rows = rows_where(summary, pattern=panel[0], setting=panel[1])
        models = [m for m in looks if m in set(rows["model"])]
        for trace in _curve_traces(models, looks, baseline_label(names[0]), legend=column == 1):
            figure.add_trace(trace, row=1, col=column)
        for name, view in views:
            data[name, view] += _curve_data(_as_view(rows[rows["metric"] == name], view), models)
    buttons = []
    for name, view in views:
        # 'visible' and colours are not changed here: the list of models does that
        update = {key: [d.get(key) for d in data[name, view]] for key in ("x", "y", "customdata")}
        title = metric_label(name) if view == VIEWS[0] else f"Gain in {metric_label(name)}"
        span = _span(_as_view(summary[summary["metric"] == name], view))
        buttons.append(button(SPLIT.join([metric_label(name), view]), update, {"yaxis.title.text": title, "yaxis.range": span}))
    if buttons:
        for trace, values in zip(figure.data, data[views[0]], strict=True):
            trace.update(values)
        figure.update_yaxes(range=buttons[0]["args"][1]["yaxis.range"])
        figure.update_yaxes(title_text=metric_label(names[0]), row=1, col=1)
    figure.update_xaxes(title_text=RATE_AXIS, tickformat=".0%", range=_margin(summary["measured_rate"]))
    figure.update_layout(updatemenus=[menu(buttons, "Metric", "View")], hovermode="closest")
    alt = f"Line chart: a metric against the missing rate, one line per model, for {', '.join(panel_label(*p) for p in shown)}."
    return finish(figure, "Metric against missing rate", height=360, alt=alt)


def _margin(rates: pd.Series[float]) -> list[float]:
    """Return an axis range with space for the symbols at both ends."""
    last = max(float(rates.max()), 0.1)
    return [-0.03 * last, 1.03 * last]


def _as_view(rows: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return the rows as scores, or as gains over the baseline with their paired intervals; positive gains are better."""
    if view == VIEWS[0] or rows.empty:
        return rows
    sign = 1 if higher_is_better(rows["metric"].iloc[0]) else -1
    gain = sign * (rows["mean"] - rows["constant"])
    low, high = (rows[c] if c in rows.columns else np.nan for c in ("gain_low", "gain_high"))
    return rows.assign(mean=gain, low=low, high=high, constant=0.0)


def _curve_traces(models: Sequence[str], looks: Mapping[str, Style], baseline: str, *, legend: bool) -> list[go.Scatter]:
    """Return a band per model, a line per model, and the line of the baseline; :func:`_curve_data` has their data."""
    bands, lines = [], []
    hover = "<b>%{fullData.name}</b><br>%{y:.3f}%{customdata[0]}<br>%{x:.0%} missing, requested %{customdata[1]}<extra></extra>"
    for model in models:
        look = looks[model]
        common = {"name": plain(model), "legendgroup": model, "showlegend": False}
        fill = {"fill": "toself", "fillcolor": look.band, "line": {"width": 0}}
        bands.append(go.Scatter(common, **fill, mode="lines", hoverinfo="skip", meta={"role": "band"}))
        line = {"color": look.color, "dash": look.dash, "width": 2}
        marker = {"symbol": look.symbol, "size": 8, "color": look.color}
        common |= {"showlegend": legend, "meta": {"role": "line"}}
        lines.append(go.Scatter(common, mode="lines+markers", line=line, marker=marker, hovertemplate=hover))
    grey = {"color": GREY, "dash": "dash", "width": 2}
    hover = f"<b>{baseline}</b><br>%{{y:.3f}}<extra></extra>"
    common = {"name": baseline, "legendgroup": BASELINE, "showlegend": legend, "meta": {"role": "baseline"}}
    return [*bands, *lines, go.Scatter(common, mode="lines", line=grey, hovertemplate=hover)]


def _curve_data(rows: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """Return the data of each trace for one metric, in the order of :func:`_curve_traces`."""
    bands: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for model in models:
        curve = reached(rows_where(rows, model=model))
        band = curve.dropna(subset=["low", "high"])
        x, y = [*band["measured_rate"], *band["measured_rate"][::-1]], [*band["high"], *band["low"][::-1]]
        bands.append({"x": short(x), "y": short(y)})
        text = [
            [bracket(low, high), f"{requested:.0%}"]
            for low, high, requested in zip(curve["low"], curve["high"], curve["rate"], strict=True)
        ]
        lines.append({"x": short(curve["measured_rate"]), "y": short(curve["mean"]), "customdata": text})
    baseline = reached(rows.groupby("rate", as_index=False)[["measured_rate", "constant"]].mean())
    return [*bands, *lines, {"x": short(baseline["measured_rate"]), "y": short(baseline["constant"])}]


def reached(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a curve in which the reached missing rate increases: a pattern may not reach the requested rate."""
    curve = curve.sort_values("rate")
    return curve[curve["measured_rate"].diff().fillna(1.0) > STEP]


def short(values: Iterable[float]) -> list[float | None]:
    """Return values with four decimals, which keeps the page small; NaN becomes ``None``."""
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]


def _span(own: pd.DataFrame) -> list[float] | None:
    """Return an axis range that contains every curve of a metric, so that panels can be compared."""
    values = own[["mean", "low", "high", "constant"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    pad = max(0.05 * float(np.ptp(values)), 0.005)
    return [float(values.min()) - pad, float(values.max()) + pad]


def areas(table: pd.DataFrame, *, only: Panel | None = None, looks: Mapping[str, Style] | None = None) -> go.Figure:
    """Return area measures as dots with intervals, one row per model; a grey tick marks the baseline.

    Args:
        table: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        only: a single (pattern, setting); default: the first.
        looks: style by model.
    """
    looks = looks or styles(table["model"])
    pattern, setting = only or distinct(table, "pattern", "setting")[0]
    rows_of_panel = rows_where(table, pattern=pattern, setting=setting)
    models = [m for m in looks if m in set(rows_of_panel["model"])]
    updates = []
    for measure, metric in distinct(rows_of_panel, "measure", "metric"):
        rows = rows_where(rows_of_panel, measure=measure, metric=metric).set_index("model").reindex(models)
        up, down = (rows["high"] - rows["mean"]).fillna(0), (rows["mean"] - rows["low"]).fillna(0)
        hover = [[[bracket(low, high)]] for low, high in zip(rows["low"], rows["high"], strict=True)]
        no_error: list[list[float]] = [[] for _ in models]
        update = {  # first the traces of the models, then the baseline tick of each row
            "x": [[v] for v in short((*rows["mean"], *rows["constant"]))],
            "customdata": [*hover, *([[""]] for _ in models)],
            "error_x.array": [*([v] for v in short(up)), *no_error],
            "error_x.arrayminus": [*([v] for v in short(down)), *no_error],
        }
        labels = (measure_label(measure), metric_label(metric))
        updates.append(button(SPLIT.join(labels), update, {"xaxis.title.text": f"{labels[0].partition(' (')[0]}<br>{labels[1]}"}))
    figure = go.Figure(
        [*(dot(m, looks[m]) for m in models), *(_tick(m, baseline_label(rows_of_panel["metric"].iloc[0])) for m in models)]
    )
    if updates:
        for i, trace in enumerate(figure.data):
            trace.update({key.replace(".", "_"): values[i] for key, values in updates[0]["args"][0].items()})
        figure.update_xaxes(title_text=updates[0]["args"][1]["xaxis.title.text"])
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(updatemenus=[menu(updates, "Measure", "Metric")], showlegend=False)
    alt = f"Dots with intervals: an area measure for each model, pattern {panel_label(pattern, setting)}."
    return finish(figure, capital(plain(panel_label(pattern, setting))), height=130 + 28 * max(3, len(models)), alt=alt)


def dot(model: str, look: Style) -> go.Scatter:
    """Return the dot of a model in :func:`areas`, without data."""
    return go.Scatter(
        y=[plain(model)],
        name=plain(model),
        legendgroup=model,
        meta={"role": "dot"},
        mode="markers",
        marker={"size": 8, "color": look.color, "symbol": look.symbol},
        error_x={"type": "data", "color": look.color, "thickness": 2, "width": 6},
        hovertemplate="<b>%{y}</b><br>%{x:.3f}%{customdata[0]}<extra></extra>",
    )


def _tick(model: str, baseline: str) -> go.Scatter:
    """Return the tick of the baseline in the row of a model in :func:`areas`."""
    return go.Scatter(
        y=[plain(model)],
        name=baseline,
        legendgroup=BASELINE,
        meta={"role": "tick"},
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": GREY, "line": {"width": 2}},
        hovertemplate=f"<b>{baseline}</b><br>%{{x:.3f}}<extra></extra>",
    )


def bracket(low: float, high: float) -> str:
    """Return an interval in square brackets after a number; empty if an end is NaN."""
    return "" if np.isnan(low) or np.isnan(high) else f" [{low:.3f}, {high:.3f}]"


def recall_by_class(confusion: pd.DataFrame, classes: Sequence[str], *, models: Sequence[str] | None = None) -> go.Figure:
    """Return the recall of each class against the missing rate; the menus select model and pattern.

    Args:
        confusion: counts; fixed subsets are left out because they have no rate.
        classes: class names in the order of their codes.
        models: order of the menu; default: order of appearance.
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
                hovertemplate="<b>%{fullData.name}</b><br>recall %{y:.1%} at %{x:.0%} missing<extra></extra>",
            )
        )
    buttons = []
    measured = dict.fromkeys(sums["model"])
    for model in measured if models is None else [m for m in models if m in measured]:
        for pattern, setting in panels(sums):
            rows = rows_where(sums, model=model, pattern=pattern, setting=setting)
            by_class = [rows[rows["true"].astype(str) == str(name)].sort_values("rate") for name in classes]
            y = [list((r["hit"] / r["count"].where(r["count"] > 0)).astype(object).where(r["count"] > 0, None)) for r in by_class]
            buttons.append(
                button(SPLIT.join([model, panel_label(pattern, setting)]), {"x": [list(r["rate"]) for r in by_class], "y": y}, {})
            )
    if buttons:
        for i, trace in enumerate(figure.data):
            trace.update(x=buttons[0]["args"][0]["x"][i], y=buttons[0]["args"][0]["y"][i])
    figure.update_xaxes(title_text="Requested missing rate", tickformat=".0%", range=_margin(confusion["rate"]))
    figure.update_yaxes(title_text="Recall", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_layout(updatemenus=[menu(buttons, "Model", "Missing data")])
    return finish(
        figure,
        "Recall by class",
        height=440,
        alt="Line chart: recall of each class against the missing rate.",
    )


def training(
    history: pd.DataFrame,
    *,
    looks: Mapping[str, Style] | None = None,
    chosen: Mapping[tuple[str, int], int] | None = None,
) -> go.Figure:
    """Return each logged quantity against the epoch, one line per model and seed; a ring marks the selected epoch.

    Args:
        history: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        looks: a style by model.
        chosen: selected epoch by (model, seed).
    """
    looks, chosen = looks or styles(history["model"]), chosen or {}
    quantities = list(dict.fromkeys(history["metric"]))
    runs = distinct(history, "model", "seed")
    figure, in_legend = go.Figure(), set[str]()
    data: dict[str, list[tuple[list[Any], list[Any], list[int]]]] = {q: [] for q in quantities}
    for model, seed in runs:
        look = looks[model]
        figure.add_trace(
            go.Scatter(
                name=plain(model),
                legendgroup=model,
                meta={"role": "line"},
                showlegend=model not in in_legend,
                mode="lines+markers",
                opacity=0.75,
                line={"color": look.color, "width": 1.5, "dash": look.dash},
                marker={"symbol": "circle-open", "color": look.color, "line": {"width": 2}},
                hovertemplate=f"<b>%{{fullData.name}}</b>, seed {seed}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )
        )
        in_legend.add(model)
        own = rows_where(history, model=model, seed=seed).sort_values("epoch")
        for q in quantities:
            rows = own[own["metric"] == q]
            ring = [11 if e == chosen.get((model, seed)) else 0 for e in rows["epoch"]]
            data[q].append((list(rows["epoch"]), short(rows["value"]), ring))
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
        figure, "Training", height=380, alt="Line chart: losses and validation values by epoch, one line per model and seed."
    )
