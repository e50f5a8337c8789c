"""A small table and its export to CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lacuna.reporting.core.words import interval, number
from lacuna.text import safe_cell

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u202f": r"\,",
    "·": r"$\cdot$",
}


@dataclass(frozen=True)
class Value:
    """A number with its interval.

    Attributes:
        mean: the number; NaN = not measured.
        low: lower end, NaN if there is none.
        high: upper end, NaN if there is none.
        mark: ``best`` of its column, ``near`` = its interval contains the best value, or empty.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers with a caption.

    Attributes:
        name: file name without extension.
        title: short title, unique within a section.
        caption: description of the numbers, without a full stop.
        columns: column heads.
        rows: one cell per column.
        note: explanation in sentences.
        digits: decimals, except in the CSV.
        sign: write a plus sign before positive numbers.
    """

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Value, ...], ...]
    note: str = ""
    digits: int = 3
    sign: bool = False

    def main(self, cell: str | Value) -> str:
        """Return the text of a cell without its interval."""
        return cell if isinstance(cell, str) else number(cell.mean, self.digits, sign=self.sign)

    def span(self, cell: str | Value) -> str:
        """Return the interval of a cell as text, or an empty text."""
        if isinstance(cell, str):
            return ""
        text = interval(cell.low, cell.high, self.digits, sign=self.sign)
        return text if self.sign or cell.low < 0 else text.replace(" to ", "\u2013")  # a dash beside a minus sign is confusing


def marked(values: Sequence[Value], *, higher: bool, ranked: Sequence[bool]) -> list[Value]:
    """Return a column with marks on its best value and on values whose interval contains the best.

    Args:
        values: a column.
        higher: higher is better.
        ranked: which rows are compared; the others get no mark.
    """
    means = [v.mean for v, compared in zip(values, ranked, strict=True) if compared and math.isfinite(v.mean)]
    if not means:
        return list(values)
    best = max(means) if higher else min(means)

    def mark(v: Value, compared: bool) -> str:
        if compared and v.mean == best:
            return "best"
        return "near" if compared and v.low <= best <= v.high else ""

    return [replace(v, mark=mark(v, compared)) for v, compared in zip(values, ranked, strict=True)]


def slug(text: str) -> str:
    """Return a file name made of letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-") or "unnamed"


def unique(names: Iterable[str]) -> list[str]:
    """Return the names in order; a repeated name gets a number."""
    used: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in used:
            count += 1
            candidate = f"{name}-{count}"
        used.append(candidate)
    return used


def to_csv(table: Table) -> str:
    """Return CSV with ten digits; an interval adds two columns, ``<head> low`` and ``<head> high``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    wide = [any(isinstance(row[i], Value) and table.span(row[i]) for row in table.rows) for i in range(len(table.columns))]
    heads = [[c, f"{c} low", f"{c} high"] if w else [c] for c, w in zip(table.columns, wide, strict=True)]
    writer.writerow([safe_cell(text.replace("\u202f", " ")).replace("\r", " ") for parts in heads for text in parts])
    for row in table.rows:
        cells: list[str] = []
        for cell, w in zip(row, wide, strict=True):
            if isinstance(cell, str):
                text = safe_cell(cell).replace("\r", " ")  # the writer would not quote it
                cells += [text, "", ""] if w else [text]
            else:
                cells += [_exact(v) for v in ((cell.mean, cell.low, cell.high) if w else (cell.mean,))]
        writer.writerow(cells)
    return out.getvalue()


def _exact(value: float) -> str:
    return f"{value:.10g}" if math.isfinite(value) else ""


def escape_markdown(text: str) -> str:
    """Return text with the special characters of Markdown escaped."""
    text = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", _one_line(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_markdown(table: Table) -> str:
    """Return a pipe table: the best value in bold, values whose interval contains the best in italics."""
    numeric = [any(isinstance(row[i], Value) for row in table.rows) for i in range(len(table.columns))]
    lines = [
        "| " + " | ".join(escape_markdown(c) for c in table.columns) + " |",
        "|" + "|".join("---:" if right else "---" for right in numeric) + "|",
    ]
    for row in table.rows:
        cells = []
        for cell in row:
            text = escape_markdown(table.main(cell)) if isinstance(cell, str) else table.main(cell)
            mark = "" if isinstance(cell, str) else {"best": "**", "near": "*"}.get(cell.mark, "")
            span = table.span(cell)
            cells.append(f"{mark}{text}{mark}" + (f" ({span})" if span else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Return text with the special characters of LaTeX escaped."""
    return "".join(_LATEX.get(c, c) for c in _one_line(text))


def _one_line(text: str) -> str:
    return re.sub(r"[ \t\r\n]+", " ", text)  # other white space, such as thin spaces, stays


def to_latex(table: Table) -> str:
    """Return a booktabs table: the best value in bold, values whose interval contains the best underlined."""
    numeric = [any(isinstance(row[i], Value) for row in table.rows) for i in range(len(table.columns))]
    body = []
    for row in table.rows:
        cells = []
        for cell in row:
            text, span = escape_latex(table.main(cell)), escape_latex(table.span(cell))
            mark = "" if isinstance(cell, str) else {"best": r"\textbf{%s}", "near": r"\underline{%s}"}.get(cell.mark, "")
            cells.append((mark % text if mark else text) + (rf" {{\scriptsize ({span})}}" if span else ""))
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(f'{table.caption}. {table.note}'.strip())}}}",
            rf"\label{{tab:{table.name}}}",
            rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
            r"\toprule",
            " & ".join(escape_latex(c) for c in table.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
