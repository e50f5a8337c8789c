"""Figures with cells: available subsets, confusion with a rate slider, paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lacuna.evaluation.conditions import FIXED
from lacuna.reporting.core.frames import distinct, records, rows_where, subset_rows
from lacuna.reporting.core.style import button, finish, menu, plain
from lacuna.reporting.core.words import (
    CONSTANT,
    higher_is_better,
    measure_label,
    metric_label,
    panel_label,
    percent,
    subset_label,
)
from lacuna.reporting.robustness.figures import choice


def subset_order(summary: pd.DataFrame) -> list[str]:
    """The measured subsets of modalities, small ones first."""
    names = subset_rows(summary)["setting"].unique()
    return sorted(names, key=lambda name: (name.count("+"), name))


def subsets(summary: pd.DataFrame, *, models: Sequence[str] | None = None, metrics: Sequence[str] | None = None) -> go.Figure:
    """Models against the modalities that they may see; the constant baseline is the last row.

    Args:
        summary: rows of the pattern ``fixed``, one setting a subset such as ``audio+text``.
        models: rows, from the top; default as they come.
        metrics: what the dropdown offers, the first is shown; default all.
    """
    own = subset_rows(summary)
    columns = subset_order(summary)
    names = [m for m in models or dict.fromkeys(own["model"]) if m in set(own["model"])]
    rows = [plain(m) for m in names] + [CONSTANT]
    buttons = []
    for metric in metrics or dict.fromkeys(own["metric"]):
        here = own[own["metric"] == metric]
        tables = {c: here.pivot_table(index="model", columns="setting", values=c, dropna=False) for c in ("mean", "low", "high")}
        mean, low, high = (t.reindex(index=names, columns=columns).to_numpy(dtype=float) for t in tables.values())
        constant = here.groupby("setting")["constant"].mean().reindex(columns).to_numpy(dtype=float)
        span = [[_span(a, b) for a, b in zip(r, s, strict=True)] for r, s in zip(low, high, strict=True)]
        update = {"z": [cells(np.vstack([mean, constant]))], "customdata": [[*span, [""] * len(columns)]]}
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
            hovertemplate="<b>%{y}</b><br>sees %{x}<br>%{z:.3f}%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title_text="Modalities that were available", showgrid=False, tickangle=0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(updatemenus=[menu(buttons, "Metric")])
    if buttons:
        figure.update_layout({"coloraxis": {"reversescale": buttons[0]["args"][1]["coloraxis.reversescale"], "showscale": False}})
    return finish(
        figure,
        "By available modalities",
        height=120 + 34 * len(rows),
        scale="sequential",
        alt="Table with coloured cells: a metric for each model and each subset of modalities that was available.",
    )


def _span(low: float, high: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else f" [{low:.3f}, {high:.3f}]"


def cells(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float | None]]:
    """A matrix as nested lists, with ``None`` where nothing was measured."""
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]


def confusion(table: pd.DataFrame, classes: Sequence[str], *, models: Sequence[str] | None = None) -> go.Figure:
    """What each class is taken for: a dropdown for model and pattern, a slider for the missing rate.

    Args:
        table: counts, all seeds together; see :data:`lacuna.reporting.core.frames.COLUMNS`.
        classes: class names in the order of their codes.
        models: order of the dropdown; default as they come.
    """
    table = pd.concat([table[table["pattern"] != FIXED], subset_rows(table)])
    order = {name: i for i, name in enumerate(models or dict.fromkeys(table["model"]))}
    found = [g for g in distinct(table, "pattern", "setting", "model") if g[2] in order]
    groups = sorted(found, key=lambda g: (g[0] == FIXED, order[g[2]]))
    rates = sorted(table.loc[table["pattern"] != FIXED, "rate"].unique()) or [0.0]
    counts = {key: _counts(rows, classes) for key, rows in table.groupby(["pattern", "setting", "model", "rate"], sort=False)}
    fixed = {key[:3]: value for key, value in counts.items() if key[0] == FIXED}  # the slider does not change these
    names = [plain(c) for c in classes]
    figure, nothing = go.Figure(), np.full((len(classes), len(classes)), np.nan)
    at: dict[float, dict[str, list[Any]]] = {}
    for rate in rates:
        shown = [fixed.get(g, counts.get((*g, rate), nothing)) for g in groups]
        at[rate] = {"z": [cells(_shares(c)) for c in shown], "customdata": [cells(c) for c in shown]}
    for i in range(len(groups)):
        figure.add_trace(
            go.Heatmap(
                x=names,
                y=names,
                z=at[rates[0]]["z"][i],
                customdata=at[rates[0]]["customdata"][i],
                visible=i == 0,
                coloraxis="coloraxis",
                texttemplate="%{z:.0%}",
                xgap=1,
                ygap=1,
                hovertemplate="true <b>%{y}</b>, taken for <b>%{x}</b><br>%{z:.1%} of the class (%{customdata})<extra></extra>",
            )
        )
    buttons = [
        button(choice(model, pattern, setting), {"visible": [j == i for j in range(len(groups))]}, {})
        for i, (pattern, setting, model) in enumerate(groups)
    ]
    steps = [button(percent(rate), at[rate], {}) for rate in rates]
    slider = {"steps": steps, "name": "Missing rate", "currentvalue": {"prefix": "Missing rate: "}, "pad": {"t": 56}}
    figure.update_xaxes(type="category", title_text="Predicted", showgrid=False, side="bottom")
    figure.update_yaxes(type="category", title_text="True", autorange="reversed", showgrid=False)
    figure.update_layout(updatemenus=[menu(buttons, "Model and pattern")], sliders=[slider] if len(steps) > 1 else [])
    finish(
        figure,
        "What each class is taken for",
        height=440 + 22 * max(0, len(classes) - 8),
        scale="sequential",
        alt="Confusion matrix: for each true class, the share of utterances that each class was predicted for.",
    )
    figure.update_layout({"coloraxis": {"cmin": 0, "cmax": 1, "showscale": False}})
    return figure


def _counts(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(C, C) counts, true by predicted; classes may be given by code or by name."""
    place = {str(c): i for i, c in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    true, predicted = (rows[c].astype(str).map(place).to_numpy(dtype=np.int64) for c in ("true", "predicted"))
    np.add.at(counts, (true, predicted), rows["count"].to_numpy(dtype=float))
    return counts


def _shares(counts: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Each row as shares; a class that does not occur has none."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), np.nan)


def comparisons(table: pd.DataFrame, *, models: Sequence[str] | None = None) -> go.Figure:
    """Paired differences, row minus column; blue where the row is better, bold where the interval excludes 0.

    Args:
        table: see :data:`lacuna.reporting.core.frames.COLUMNS`; a pair may be given in either order.
        models: rows and columns, from the top left; others are left out; default all, as they come.
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
                hover[i][j] = f"{d:+.4f}{_span(low, high)}, p = {row.p_value:.3g}"
        several = [metric_label(metric)] if table["metric"].nunique() > 1 else []
        label = " · ".join([panel_label(pattern, setting), measure_label(measure), *several])
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
    figure.update_layout(updatemenus=[menu(buttons, "Compared by")])
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
