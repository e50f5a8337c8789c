"""Figures of recovery quality: error reduction by model and modality, and recovered beside true vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lacuna.evaluation.recovery.quality import MEAN_FILL
from lacuna.evaluation.tables import CEILING
from lacuna.reporting.core.frames import records, rows_where
from lacuna.reporting.core.style import GREY, Style, button, finish, menu, plain, styles
from lacuna.reporting.recovery.tables import Place, place_label, places
from lacuna.reporting.robustness.figures import bracket, dot

PANELS = 6
WORDS = {"share_of_oracle": "Share of the oracle's recovery", "gain": "Reduction of the mean fill's error"}


def share_measure(recovery: pd.DataFrame) -> str:
    """Return the measure to draw: the share of the oracle's recovery if known, else the gain over the mean fill."""
    known = recovery.loc[recovery["measure"] == "share_of_oracle", "mean"].notna().any()
    return "share_of_oracle" if known else "gain"


def shares(
    recovery: pd.DataFrame, modality: str, *, models: Sequence[str] | None = None, looks: Mapping[str, Style] | None = None
) -> go.Figure:
    """Return the recovery of one modality as dots with intervals; the dropdown selects the condition.

    Args:
        recovery: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        modality: name of the modality.
        models: rows from the top; default: order of appearance. References are left out.
        looks: style by model.
    """
    measure = share_measure(recovery)
    own = rows_where(recovery, measure=measure)
    able = [m for m in dict.fromkeys(own["model"]) if m not in (CEILING, MEAN_FILL)]
    names = able if models is None else [m for m in models if m in able]
    looks = looks or styles(names)
    buttons = []
    for place in places(own):
        in_place = _at(own, place)
        rows = in_place[in_place["modality"] == modality].set_index("model").reindex(names)
        up, down = (rows["high"] - rows["mean"]).fillna(0), (rows["mean"] - rows["low"]).fillna(0)
        update = {
            "x": [[v] for v in rows["mean"]],
            "customdata": [[[bracket(low, high)]] for low, high in zip(rows["low"], rows["high"], strict=True)],
            "error_x.array": [[v] for v in up],
            "error_x.arrayminus": [[v] for v in down],
        }
        buttons.append(button(place_label(place), update, {}))
    figure = go.Figure([dot(m, looks[m]) for m in names])
    if buttons:
        for i, trace in enumerate(figure.data):
            trace.update({key.replace(".", "_"): values[i] for key, values in buttons[0]["args"][0].items()})
    for at in (0, 1):
        figure.add_vline(x=at, line={"color": GREY, "dash": "dash", "width": 1.5}, layer="below")
    figure.update_xaxes(title_text=WORDS[measure], zeroline=False)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(updatemenus=[menu(buttons, "Missing data")], showlegend=False)
    alt = f"Dots with intervals: {WORDS[measure].lower()} for each model, modality {modality}."
    return finish(figure, plain(modality), height=120 + 28 * max(3, len(names)), alt=alt)


def _at(table: pd.DataFrame, place: Place) -> pd.DataFrame:
    return rows_where(table, pattern=place[0], setting=place[1], rate=place[2], unit=place[3])


def clouds(points: pd.DataFrame, *, models: Sequence[str] | None = None, looks: Mapping[str, Style] | None = None) -> go.Figure:
    """Return recovered beside true vectors, one panel per model; the dropdown selects the modality.

    Args:
        points: see :data:`lacuna.reporting.core.frames.COLUMNS`.
        models: panels, at most six are shown; default: order of appearance.
        looks: style by model.
    """
    measured = dict.fromkeys(points["model"])
    names = [m for m in (models or measured) if m in measured][:PANELS]
    looks = looks or styles(names)
    across = len(names) if len(names) <= 4 else 3
    down = -(-len(names) // across)
    gaps = {"horizontal_spacing": 0.02, "vertical_spacing": 0.03}
    figure = make_subplots(rows=down, cols=across, shared_xaxes="all", shared_yaxes="all", **gaps)
    for i, name in enumerate(names):
        look, place = looks.get(name, Style(GREY, "circle-open", "dot")), {"row": i // across + 1, "col": i % across + 1}
        common = {"name": plain(name), "legendgroup": name, "mode": "markers", "showlegend": False}
        true = {"symbol": "circle", "size": 4, "color": GREY, "opacity": 0.3}
        recovered = {"symbol": look.symbol, "size": 5, "color": look.color, "opacity": 0.8}
        figure.add_trace(go.Scatter(common, marker=true, hoverinfo="skip"), **place)
        figure.add_trace(go.Scatter(common, marker=recovered, hovertemplate="<b>%{fullData.name}</b><extra></extra>"), **place)
        corner = {"x": 0.02, "y": 0.98, "xref": "x domain", "yref": "y domain", "xanchor": "left", "yanchor": "top"}
        figure.add_annotation(corner, text=f"<b>{plain(name)}</b>", showarrow=False, **place)
    buttons = []
    for modality, own in points.groupby("modality", sort=False):
        cells = [rows_where(own, model=name).sort_values("pair") for name in names]
        update: dict[str, Any] = {
            axis: [v for rows in cells for v in (_short(rows[f"true_{axis}"]), _short(rows[axis]))] for axis in "xy"
        }
        buttons.append(button(str(modality), update, {}))
    if buttons:
        for trace, x, y in zip(figure.data, *(buttons[0]["args"][0][axis] for axis in "xy"), strict=True):
            trace.update(x=x, y=y)
    figure.update_xaxes(showticklabels=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    figure.update_layout(updatemenus=[menu(buttons, "Modality")], hovermode="closest")
    alt = "Scatter plots, one per model: recovered and true vectors along two principal axes of the true vectors."
    return finish(figure, "Recovered and true vectors", height=60 + 240 * down, alt=alt)


def _short(values: pd.Series[float]) -> list[float]:
    """Return values with two decimals, which keeps the page small."""
    return [round(float(v), 2) for v in values]


def cloud_note(points: pd.DataFrame) -> str:
    """Return the explanation of :func:`clouds`."""
    first = points.drop_duplicates("modality")
    parts = [f"{r.modality} ({r.explained:.0%}, {place_label((r.pattern, r.setting, r.rate, r.unit))})" for r in records(first)]
    most = int(points.groupby(["model", "modality"]).size().max())
    return (
        "Grey: true vectors, the same in every panel. Colour: the recovered vectors of the first training seed. "
        f"At most {most} pairs. Axes: the two principal axes of the true vectors; explained variance and condition: "
        f"{'; '.join(parts)}."
    )
