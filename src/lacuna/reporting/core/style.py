"""The common style of all figures: a colour-blind-safe palette, a style per model, a light and a dark template."""

from __future__ import annotations

import html
import zlib
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
KNOWN = (  # models with a fixed style; each group of eight uses every colour once
    *("mlp", "linear", "context_gru", "knn", "ridge", "gsdnet", "cider", "rohydr"),
    *("gcnet", "sdr_gnn", "ae", "cra", "mmin", "imder", "dicmor", "repaint"),
    "cider_as_published",
)
GREY = "#868c94"
BASELINE = "baseline"  # legend group of the constant baseline
SPLIT = "\u2002\u00b7\u2002"  # between the parts of a menu entry; the spaces are wide, so that no name contains it
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
SCALES = {  # low contrast, so that the numbers in the cells stay readable
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
    """Colour, symbol and dash of a model, the same in every figure and page."""

    color: str
    symbol: str
    dash: str

    @property
    def path(self) -> str:
        """Return the symbol as an SVG path."""
        return PATHS[self.symbol.removesuffix("-open")]

    @property
    def stroke(self) -> str:
        """Return the dash as an SVG ``stroke-dasharray``."""
        return STROKES[self.dash]

    @property
    def band(self) -> str:
        """Return the transparent fill colour of the interval."""
        red, green, blue = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.13)"


def styles(models: Iterable[str], references: Sequence[str] = ()) -> dict[str, Style]:
    """Return a style per model; references are grey and dotted.

    A model of :data:`KNOWN` has a fixed style. Any other name starts at a hash of the name and takes the next free style, so a
    model nearly always looks the same on two pages, whatever other models they show.

    Args:
        models: names of models; the order does not matter.
        references: models that are drawn in grey.
    """
    names = sorted(set(models) - set(references))
    slots = {name: KNOWN.index(name) for name in names if name in KNOWN}
    for name in names:
        if name not in slots:
            first = zlib.crc32(name.encode()) % 8
            candidates = (8 * ring + (first + step) % 8 for ring in range(len(names) // 8 + 4) for step in range(8))
            slots[name] = next(slot for slot in candidates if slot not in slots.values())
    ranked = {n: Style(PALETTE[i % 8], SYMBOLS[(i + i // 8) % 8], DASHES[i // 8 % len(DASHES)]) for n, i in slots.items()}
    return ranked | {name: Style(GREY, SYMBOLS[i % 8] + "-open", "dot") for i, name in enumerate(references)}


def plain(text: object) -> str:
    """Return text with HTML escaped, because Plotly reads ``<b>`` as markup."""
    return html.escape(str(text), quote=False)


def template(theme: str = "light") -> dict[str, Any]:
    """Return the Plotly template of a theme as plain values."""
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
    """Apply the common style to a figure and return it.

    Args:
        figure: changed in place and returned.
        title: readable title; the page replaces it by its own heading.
        height: in pixels.
        alt: text alternative for screen readers.
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


def menu(buttons: list[dict[str, Any]], *names: str) -> dict[str, Any]:
    """Return a dropdown above the upper right corner of a figure.

    Args:
        buttons: entries of :func:`button`. An entry of several menus joins its parts with :data:`SPLIT`.
        names: the page shows one native control per name.
    """
    return {
        "buttons": buttons,
        "name": SPLIT.join(names),
        "x": 1,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"b": 24},
        "showactive": True,
        "visible": len(buttons) > 1,
    }


def button(label: str, *args: Any) -> dict[str, Any]:
    """Return an entry of a dropdown: ``args`` are the arguments of ``Plotly.update``."""
    return {"label": label, "method": "update", "args": list(args)}
