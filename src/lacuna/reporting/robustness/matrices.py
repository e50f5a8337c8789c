"""Heatmaps: available subsets, confusion matrices, paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.frames import distinct, records, rows_where, subset_rows
from lacuna.reporting.core.style import SPLIT, button, finish, menu, plain
from lacuna.reporting.core.words import (
    baseline_label,
    higher_is_better,
    measure_label,
    metric_label,
    panel_label,
    percent,
    subset_label,
)


def subset_order(summary: pd.DataFrame) -> list[str]:
    """Return the measured subsets of modalities, small ones first."""
    names = subset_rows(summary)["setting"].unique()
    return sorted(names, key=lambda name: (name.count("+"), name))


def subsets(summary: pd.DataFrame, *, models: Sequence[str] | None = None, metrics: Sequence[str] | None = None) -> go.Figure:
    """Return scores by model and available modalities; the baseline is the last row.

    Args:
        summary: rows of the pattern ``fixed``, one setting a subset such as ``audio+text``.
        models: rows from the top; default: order of appearance.
        metrics: entries of the dropdown, the first is shown; default: all.
    """
    own = subset_rows(summary)
    columns = subset_order(summary)
    names = [m for m in models or dict.fromkeys(own["model"]) if m in set(own["model"])]
    rows = [plain(m) for m in names] + [baseline_label(next(iter(metrics or own["metric"]), ""))]
    buttons = []
    for metric in metrics or dict.fromkeys(own["metric"]):
        rows_of_metric = own[own["metric"] == metric]
        tables = {
            c: rows_of_metric.pivot_table(index="model", columns="setting", values=c, dropna=False)
            for c in ("mean", "low", "high")
        }
        mean, low, high = (t.reindex(index=names, columns=columns).to_numpy(dtype=float) for t in tables.values())
        baseline = rows_of_metric.groupby("setting")["constant"].mean().reindex(columns).to_numpy(dtype=float)
        span = [[_span(a, b) for a, b in zip(r, s, strict=True)] for r, s in zip(low, high, strict=True)]
        update = {"z": [cells(np.vstack([mean, baseline]))], "customdata": [[*span, [""] * len(columns)]]}
        buttons.append(button(metric_label(metric), update, {"coloraxis.reversescale": not higher_is_better(metric)}))
    first = buttons[0]["args"][0] if buttons else {"z": [[]], "customdata": [[]]}
    figure = go.Figure(
        go.Heatmap(
            x=[plain(subset_label(c)).replace(" + ", " +<br>") for c in columns],
            y=rows,
            z=first["z"][0],
            customdata=first["customdata"][0],
            coloraxis="coloraxis",
            texttemplate="%{z:.3f}" if len(columns) <= 8 else "%{z:.2f}",
            xgap=2,
            ygap=2,
            hovertemplate="<b>%{y}</b><br>available: %{x}<br>%{z:.3f}%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title_text="Available modalities", showgrid=False, tickangle=0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(updatemenus=[menu(buttons, "Metric")])
    if buttons:
        figure.update_layout({"coloraxis": {"reversescale": buttons[0]["args"][1]["coloraxis.reversescale"], "showscale": False}})
    return finish(
        figure,
        "By available modalities",
        height=120 + 34 * len(rows),
        scale="sequential",
        alt="Heatmap: a metric for each model and each subset of available modalities.",
    )


def _span(low: float, high: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else f" [{low:.3f}, {high:.3f}]"


def cells(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float | None]]:
    """Return a matrix as nested lists with four decimals, and ``None`` where nothing was measured."""
    return [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in values]


def confusion(table: pd.DataFrame, classes: Sequence[str], *, models: Sequence[str] | None = None) -> go.Figure:
    """Return a confusion matrix; the menus select the model, what was missing and the missing rate.

    Args:
        table: counts, all seeds together; see :data:`lacuna.reporting.core.frames.COLUMNS`.
        classes: class names in the order of their codes.
        models: order of the menu; default: order of appearance.
    """
    table = pd.concat([table[table["pattern"] != FIXED], subset_rows(table)])
    order = {name: i for i, name in enumerate(models or dict.fromkeys(table["model"]))}
    groups = [g for g in distinct(table, "model", "pattern", "setting", "rate") if g[0] in order]
    counts = {key: _counts(rows, classes) for key, rows in table.groupby(["model", "pattern", "setting", "rate"], sort=False)}
    buttons = []
    for model, pattern, setting, rate in sorted(groups, key=lambda g: (order[g[0]], g[1] == FIXED)):
        matrix = counts[model, pattern, setting, rate]
        update = {"z": [cells(_shares(matrix).round(3))], "customdata": [matrix.astype(int).tolist()]}
        buttons.append(button(SPLIT.join([model, panel_label(pattern, setting), percent(rate)]), update, {}))
    names = [plain(c) for c in classes]
    first = buttons[0]["args"][0] if buttons else {"z": [[]], "customdata": [[]]}
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=first["z"][0],
            customdata=first["customdata"][0],
            coloraxis="coloraxis",
            texttemplate="%{z:.0%}",
            xgap=1,
            ygap=1,
            hovertemplate="true <b>%{y}</b>, predicted <b>%{x}</b><br>%{z:.1%} of the class (%{customdata})<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title_text="Predicted", showgrid=False, side="bottom")
    figure.update_yaxes(type="category", title_text="True", autorange="reversed", showgrid=False)
    figure.update_layout(updatemenus=[menu(buttons, "Model", "Missing data", "Missing rate")])
    finish(
        figure,
        "Confusion matrix",
        height=440 + 22 * max(0, len(classes) - 8),
        scale="sequential",
        alt="Confusion matrix: for each true class, the share of utterances that each class was predicted for.",
    )
    figure.update_layout({"coloraxis": {"cmin": 0, "cmax": 1, "showscale": False}})
    return figure


def _counts(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return counts (C, C), true by predicted; classes are given by name."""
    place = {str(c): i for i, c in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    true, predicted = (rows[c].astype(str).map(place).to_numpy(dtype=np.int64) for c in ("true", "predicted"))
    np.add.at(counts, (true, predicted), rows["count"].to_numpy(dtype=float))
    return counts


def _shares(counts: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each row as shares; NaN for a class that does not occur."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), np.nan)


def comparisons(table: pd.DataFrame, *, models: Sequence[str] | None = None) -> go.Figure:
    """Return paired differences, row minus column; blue: the row is better, bold: the interval excludes 0.

    Args:
        table: see :data:`lacuna.reporting.core.frames.COLUMNS`; a pair may have either order.
        models: rows and columns from the top left; default: all, in order of appearance.
    """
    every = dict.fromkeys([*table["model_a"], *table["model_b"]])
    names = list(every) if models is None else [m for m in models if m in every]
    table = table[table["model_a"].isin(names) & table["model_b"].isin(names)]
    place = {name: i for i, name in enumerate(names)}
    buttons = []
    for measure, metric, pattern, setting in distinct(table, "measure", "metric", "pattern", "setting"):
        own = rows_where(table, measure=measure, metric=metric, pattern=pattern, setting=setting)
        sign = 1 if higher_is_better(metric, measure) else -1
        z = np.full((len(names), len(names)), np.nan)
        text = [["" for _ in names] for _ in names]
        hover = [["" for _ in names] for _ in names]
        for row in records(own):
            a, b = place[row.model_a], place[row.model_b]
            for i, j, d, low, high in ((a, b, row.difference, row.low, row.high), (b, a, -row.difference, -row.high, -row.low)):
                z[i, j] = sign * d
                text[i][j] = f"<b>{d:+.3f}</b>" if low > 0 or high < 0 else f"{d:+.3f}"
                hover[i][j] = f"{d:+.4f}{_span(low, high)}" + ("" if np.isnan(row.p_value) else f", p = {row.p_value:.3g}")
        several = [metric_label(metric)] if table["metric"].nunique() > 1 else []
        label = SPLIT.join([panel_label(pattern, setting), measure_label(measure), *several])
        limit = float(np.nanmax(np.abs(z), initial=1e-6)) if np.isfinite(z).any() else 1.0
        axis = {"coloraxis.cmin": -limit, "coloraxis.cmax": limit}
        buttons.append(button(label, {"z": [cells(z)], "text": [text], "customdata": [hover]}, axis))
    first = buttons[0]["args"][0]
    labels = [plain(n) for n in names]
    figure = go.Figure(
        go.Heatmap(
            x=labels,
            y=labels,
            z=first["z"][0],
            text=first["text"][0],
            customdata=first["customdata"][0],
            coloraxis="coloraxis",
            texttemplate="%{text}" if len(names) <= 10 else "",
            xgap=2,
            ygap=2,
            hovertemplate="<b>%{y}</b> minus <b>%{x}</b><br>%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", side="top", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(
        updatemenus=[menu(buttons, "Missing data", "Measure", *(["Metric"] if table["metric"].nunique() > 1 else []))]
    )
    limits = buttons[0]["args"][1]
    height = 80 + (34 if len(names) <= 10 else 24) * len(names)
    finish(
        figure,
        "Row minus column",
        height=height,
        scale="diverging",
        alt="Matrix of paired differences between models, row minus column.",
    )
    scale = {"cmin": limits["coloraxis.cmin"], "cmax": limits["coloraxis.cmax"], "showscale": len(names) > 10}
    figure.update_layout({"coloraxis": scale})
    return figure
