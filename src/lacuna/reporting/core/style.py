"""One look for all figures: a colour-blind-safe palette, and a light and a dark template."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# After Paul Tol's "vibrant" and "muted" schemes; each is at least 2.5 : 1 against both page colours.
PALETTE = ("#0b7bc1", "#e8702a", "#0f9d8a", "#c2459b", "#8a8f1e", "#d13b3b", "#7a63c9", "#2ea8d9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
PATHS = {  # the symbols as SVG paths around (15, 6), for the page's legend
    "circle": "M11 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "square": "M11.5 2.5h7v7h-7z",
    "diamond": "M15 1.2l4.8 4.8l-4.8 4.8l-4.8-4.8z",
    "triangle-up": "M15 1.5l4.6 8h-9.2z",
    "cross": "M13.4 1.5h3.2v2.9h2.9v3.2h-2.9v2.9h-3.2v-2.9h-2.9v-3.2h2.9z",
    "x": "M12.4 1.6L15 4.2l2.6-2.6l1.8 1.8L16.8 6l2.6 2.6l-1.8 1.8L15 7.8l-2.6 2.6l-1.8-1.8L13.2 6l-2.6-2.6z",
    "triangle-down": "M15 10.5l4.6-8h-9.2z",
    "star": "M15 .8l1.4 3.4l3.6.3l-2.8 2.3l.9 3.6L15 8.4l-3.1 2l.9-3.6L10 4.5l3.6-.3z",
}
STROKES = {"solid": "none", "dot": "2 3", "dash": "5 3", "dashdot": "6 2 2 2", "longdash": "8 3"}
DASHES = ("solid", "dot", "dashdot", "longdash")
GREY = "#868c94"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
SCALES = {  # gentle at both ends, so that the numbers in the cells stay easy to read
    "light": {
        "sequential": [[0, "#f6f9fb"], [0.5, "#b9d9ec"], [1, "#6fb1da"]],
        "diverging": [[0, "#ee9f66"], [0.25, "#f8d3b8"], [0.5, "#f6f6f4"], [0.75, "#b9d9ec"], [1, "#6fb1da"]],
    },
    "dark": {
        "sequential": [[0, "#20262d"], [0.5, "#24496a"], [1, "#2b6f9f"]],
        "diverging": [[0, "#9a5523"], [0.25, "#5d3b23"], [0.5, "#23282f"], [0.75, "#234b69"], [1, "#2b6f9f"]],
    },
}


@dataclass(frozen=True)
class Style:
    """How a model is drawn, the same in every figure."""

    color: str
    symbol: str
    dash: str

    @property
    def path(self) -> str:
        """The symbol as an SVG path."""
        return PATHS[self.symbol.removesuffix("-open")]

    @property
    def stroke(self) -> str:
        """The dash as an SVG ``stroke-dasharray``."""
        return STROKES[self.dash]

    @property
    def band(self) -> str:
        """The colour of the interval, see-through."""
        red, green, blue = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.13)"


def styles(models: Iterable[str], references: Sequence[str] = ()) -> dict[str, Style]:
    """A style by model, decided by its place among the sorted names; references are grey and dotted."""
    ranked = sorted(set(models) - set(references))
    found = {
        name: Style(PALETTE[i % 8], SYMBOLS[(i + i // 8) % 8], DASHES[i // 8 % len(DASHES)]) for i, name in enumerate(ranked)
    }
    return found | {name: Style(GREY, SYMBOLS[i % 8] + "-open", "dot") for i, name in enumerate(references)}


def plain(text: object) -> str:
    """Text that Plotly shows as it is: it would read ``<b>`` as markup."""
    return html.escape(str(text), quote=False)


def template(theme: str = "light") -> dict[str, Any]:
    """The Plotly template of a theme, as plain values."""
    ink, soft, grid, paper = (
        ("#1d232a", "#5a626c", "#e3e6ea", "#ffffff") if theme == "light" else ("#e6e9ec", "#a3abb5", "#343b44", "#1b2027")
    )
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "tickcolor": grid,
        "tickfont": {"color": soft, "size": 12},
        "title": {"font": {"color": soft, "size": 13}, "standoff": 10},
        "automargin": True,
    }
    layout = {
        "font": {"family": FONT, "color": ink, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"bgcolor": paper, "bordercolor": grid, "font": {"color": ink, "family": FONT}, "align": "left"},
        "legend": {"font": {"color": ink}, "bgcolor": "rgba(0,0,0,0)"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": soft, "activecolor": ink},
        "coloraxis": {"colorbar": {"outlinewidth": 0, "tickfont": {"color": soft}, "thickness": 12}},
    }
    return {"layout": layout}


def finish(figure: go.Figure, title: str, *, height: int, alt: str, scale: str | None = None) -> go.Figure:
    """Give a figure the common look.

    Args:
        figure: changed in place and returned.
        title: in words; the page shows its own instead.
        height: in pixels.
        alt: what the figure shows, for those who cannot see it.
        scale: ``sequential`` or ``diverging`` for figures with a colour axis.
    """
    figure.update_layout(
        template=go.layout.Template(template("light")),
        height=height,
        title={"text": title, "x": 0.01, "font": {"size": 15}},
        margin={"l": 56, "r": 16, "t": 96, "b": 48},
        meta={"alt": alt, "scale": scale},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )
    if scale is not None:
        figure.update_layout(coloraxis={"colorscale": SCALES["light"][scale]})
    return figure


def menu(buttons: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A dropdown above the figure's upper right corner; the page turns it into a native control called ``name``."""
    return {
        "buttons": buttons,
        "name": name,
        "x": 1,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"b": 24},
        "showactive": True,
        "visible": len(buttons) > 1,
    }


def button(label: str, *args: Any) -> dict[str, Any]:
    """A choice of a dropdown or slider: ``args`` as for ``Plotly.update``."""
    return {"label": label, "method": "update", "args": list(args)}
