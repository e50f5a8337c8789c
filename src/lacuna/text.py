"""Text of others in output: formulas in CSV are neutralised, and characters that change the direction of text are shown.

- A CSV cell that begins with ``=``, ``+``, ``@``, a tab or a carriage return, or with ``-`` followed by more than the letters,
  digits and ``_ - . : [ ]`` of an id, gets an apostrophe in front: a spreadsheet then shows it and does not compute it. The same
  holds for a cell that begins with such an apostrophe, so that :func:`original_cell` can undo the rule. Numbers stay.
- Directional formatting characters of Unicode are written as ``<U+202E>``: they can make a text look like another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*(?:[=+@\t\r]|-(?![\w\-.:\[\]]*$))")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe_cell(text: str) -> str:
    """Return the text of a CSV cell that no spreadsheet computes.

    >>> [safe_cell(text) for text in ("=1+1", "-2+3", "-6rXp3zJ3kc[0]", "-1.5", "joy")]
    ["'=1+1", "'-2+3", '-6rXp3zJ3kc[0]', '-1.5', 'joy']
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def original_cell(text: str) -> str:
    """Return the text that :func:`safe_cell` was given.

    >>> original_cell(safe_cell("=1+1"))
    '=1+1'
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def safe_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of a table for CSV: texts in its cells and column names as :func:`safe_cell` returns them."""
    return _mapped(frame, safe_cell)


def original_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table that :func:`safe_frame` was given."""
    return _mapped(frame, original_cell)


def _mapped(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def of(value: object) -> object:
        return change(value) if isinstance(value, str) else value

    frame = frame.rename(columns=of)
    for position, kind in enumerate(frame.dtypes):
        if getattr(kind, "kind", "O") not in "biufcmM":
            frame.isetitem(position, frame.iloc[:, position].map(of).to_numpy())
    return frame


def visible(text: str) -> str:
    """Return the text with directional formatting characters shown by their numbers.

    >>> visible("joy" + chr(0x202E) + "ecnesba")
    'joy<U+202E>ecnesba'
    """
    return _DIRECTION.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
