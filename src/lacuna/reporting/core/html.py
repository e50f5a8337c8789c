"""Common parts of the HTML pages. A page is one file: no network, no fonts, no files beside it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import plotly.graph_objects as go
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from lacuna.reporting.core.style import BASELINE, GREY, SCALES, SPLIT, template
from lacuna.reporting.core.table import Table
from lacuna.reporting.core.words import capital
from lacuna.text import visible


@dataclass(frozen=True)
class Plot:
    """A figure with its place on the page.

    Attributes:
        group: figures of a group share their controls.
        title: readable title.
        figure: the Plotly figure.
        note: text under the figure.
        wide: spans the whole width.
    """

    group: str
    title: str
    figure: go.Figure
    note: str = ""
    wide: bool = False


def page_parts(plots: Sequence[Plot], *, file: str, shown: Sequence[str] | None = None) -> dict[str, object]:
    """Return the values that every page template needs: figures, style, script and packed data.

    Args:
        plots: figures in the order of the page.
        file: start of the names of downloaded figures.
        shown: models that are drawn in colour at first; default: all.
    """
    figures = [json.loads(plot.figure.to_json()) for plot in plots]
    for figure in figures:
        figure["layout"].pop("template", None)
    content = {
        "figures": figures,
        "groups": [plot.group for plot in plots],
        "templates": {theme: template(theme) for theme in ("light", "dark")},
        "scales": SCALES,
        "shown": None if shown is None else list(shown),
        "file": file,
        "grey": GREY,
        "baseline": BASELINE,
        "split": SPLIT,
    }
    return {
        "plots": list(enumerate(plots)),
        "css": Markup(read_part("core/page.css")),
        "js": Markup(read_part("core/page.js")),
        "plotly": packed_plotly(),
        "data": packed(visible(json.dumps(content, ensure_ascii=False, allow_nan=False)).replace("<U+", "\\u003cU+")),
    }


def packed(text: str) -> Markup:
    """Return text as gzip in base85, which the page unpacks with ``DecompressionStream``; the same bytes for the same text.

    The characters ``<`` and ``&`` of :func:`base64.b85encode` are replaced, so that HTML cannot misread the result.
    """
    code = base64.b85encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    return Markup(code.translate(str.maketrans("<&", ",.")))


@cache
def packed_plotly() -> Markup:
    """Return the script of Plotly, packed from 4.6 to 1.7 MB."""
    # plotly.offline.get_plotlyjs reads the same file, but its module imports IPython where it is installed: 0.3 s
    return packed(resources.files("plotly").joinpath("package_data/plotly.min.js").read_text("utf-8"))


def read_part(name: str) -> str:
    """Return the text of a template, style sheet or script of this package."""
    return resources.files("lacuna.reporting").joinpath(name).read_text("utf-8")


def _shown(value: object) -> object:
    """Return a value of a template; in text, characters that change its direction are shown."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def environment() -> Environment:
    """Return the template environment: undefined names are errors, and all text is escaped."""

    def of(plots: Sequence[tuple[int, Plot]], group: str) -> list[tuple[int, Plot]]:
        return [(i, p) for i, p in plots if p.group == group]

    def named(tables: Sequence[Table], kind: str) -> list[Table]:
        return [table for table in tables if table.name.startswith(f"{kind}-")]

    environment = Environment(
        loader=FunctionLoader(read_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"of": of, "named": named, "capital": capital}
    return environment
