"""Text of others in output: formulas in CSV are neutralised, and characters that change the direction of text are shown.

- A CSV cell that begins with ``=``, ``+``, ``@``, a tab or a carriage return, or with ``-`` followed by more than the letters,
  digits and ``_ - . : [ ]`` of an id, gets an apostrophe in front: a spreadsheet then shows it and does not compute it. The same
  holds for a cell that begins with such an apostrophe, so that :func:`original_cell` can undo the rule. Numbers stay.
- Directional formatting characters of Unicode are written as ``<U+202E>``: they can make a text look like another one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_FORMULA = re.compile(r"'*(?:[=+@\t\r]|-(?![\w\-.:\[\]]*$))")
_UNUSUAL = r"""^'*[=+@\t\r\-]|[",\r\n]"""  # texts of a CSV cell that may change: every formula is among them
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_EXPONENTS = (  # numbers from, to below: what turns Arrow's text of them into Python's
    (1e-9, 1e-6, r"e-", "e-0"),  # 1.5e-9
    (1e-6, 1e-5, r"0\.00000(\d)(\d*)", r"\1.\2e-06"),  # 0.0000015
    (1e-5, 1e-4, r"0\.0000(\d)(\d*)", r"\1.\2e-05"),
)
BLOCK = 1 << 16  # rows of a CSV that are in memory as text
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


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as :func:`csv_blocks` gives it."""
    with path.open("wb") as file:
        file.writelines(csv_blocks(frame))


def csv_text(frame: pd.DataFrame) -> str:
    """Return a small table as :func:`csv_blocks` gives it."""
    return b"".join(csv_blocks(frame)).decode()


def csv_blocks(frame: pd.DataFrame) -> Iterator[bytes]:
    r"""Yield a table as CSV: a line of column names, then one line for each row; UTF-8, lines end with a line feed.

    The bytes are those of ``safe_frame(frame).to_csv(index=False, lineterminator="\n")``, except that a cell with a carriage
    return is always quoted. Columns of texts, whole numbers, float64 and bool are formatted by Arrow, which takes about a sixth
    of the time; a table with other columns is written by pandas.

    Args:
        frame: its index is not written.

    Yields:
        The line of names, then blocks of whole lines.

    Example:
        >>> import pandas as pd
        >>> b"".join(csv_blocks(pd.DataFrame({"id": ["=1", "a,b"], "p": [0.5, 1e-5]})))
        b'id,p\n\'=1,0.5\n"a,b",1e-05\n'
    """
    yield safe_frame(frame.iloc[:0]).to_csv(index=False, lineterminator="\n").encode()
    for low in range(0, len(frame), BLOCK):
        block = frame.iloc[low : low + BLOCK]
        cells = [_csv_cells(block.iloc[:, c]) for c in range(block.shape[1])]
        formatted = [column for column in cells if column is not None]
        if len(formatted) == len(cells) > 1:  # pandas quotes the empty cell of a table of one column
            yield _csv_lines(formatted)
        else:
            yield safe_frame(block).to_csv(index=False, header=False, lineterminator="\n").encode()


def _csv_lines(cells: list[pa.LargeStringArray]) -> bytes:
    """Return the lines of a CSV from the cells (N,) of each column."""
    import pyarrow as pa
    from pyarrow import compute

    separator, end = pa.scalar(",", pa.large_string()), pa.scalar("\n", pa.large_string())
    lines = compute.binary_join_element_wise(*cells, separator)
    whole = pa.ListArray.from_arrays([0, len(lines)], lines)
    return bytes(compute.binary_join(whole, end)[0].as_buffer()) + b"\n"


def _csv_cells(column: pd.Series) -> pa.LargeStringArray | None:
    """Return the cells (N,) of a column, or ``None`` if it holds values that only pandas formats."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(column.dtype, pd.StringDtype) or (
        column.dtype == object and pd.api.types.infer_dtype(column) in {"string", "empty"}
    ):
        texts = pa.array(column, pa.large_string(), from_pandas=True)
        return _text_cells(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
    if not isinstance(column.dtype, np.dtype):
        return None
    if column.dtype == np.bool_:
        words = pa.array(["False", "True"], pa.large_string())
        return words.take(pa.array(column.to_numpy().astype(np.int8)))
    if column.dtype.kind in "iu":
        return compute.cast(pa.array(column.to_numpy()), pa.large_string())
    return _float_cells(column.to_numpy()) if column.dtype == np.float64 else None


def _text_cells(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return CSV cells of texts (N,): formulas neutralised, quoted where necessary; every different text is treated once."""
    import pyarrow as pa
    from pyarrow import compute

    coded = compute.fill_null(texts, "").dictionary_encode()
    different = coded.dictionary
    unusual = compute.match_substring_regex(different, _UNUSUAL)
    if compute.any(unusual).as_py():
        safe = [_quoted(safe_cell(text)) for text in different.filter(unusual).to_pylist()]
        different = compute.replace_with_mask(different, unusual, pa.array(safe, pa.large_string()))
    return different.take(coded.indices)


def _float_cells(values: np.ndarray[Any, np.dtype[np.float64]]) -> pa.LargeStringArray:
    """Return CSV cells of numbers (N,): the shortest digits that give the number back, as Python writes it; NaN is empty."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute

    cells = compute.cast(pa.array(values), pa.large_string())
    size = np.abs(values)
    for low, high, pattern, replacement in _EXPONENTS:
        tiny = (size >= low) & (size < high)
        if tiny.any():
            texts = compute.replace_substring_regex(cells.filter(pa.array(tiny)), pattern, replacement)
            cells = compute.replace_with_mask(cells, tiny, compute.replace_substring(texts, ".e", "e"))
    others = ~(size < 1e10) | (values == np.trunc(values))  # 1 for 1.0; what is left is equal
    if others.any():
        which, bits = pd.factorize(values[others].view(np.int64))  # of 1.0 there are many
        texts = ["" if math.isnan(value) else repr(value) for value in bits.view(np.float64).tolist()]
        cells = compute.replace_with_mask(cells, others, pa.array(texts, pa.large_string()).take(pa.array(which)))
    return cells


def _quoted(text: str) -> str:
    """Return a CSV cell, in quotation marks if it holds one, a comma or the end of a line."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def visible(text: str) -> str:
    """Return the text with directional formatting characters shown by their numbers.

    >>> visible("joy" + chr(0x202E) + "ecnesba")
    'joy<U+202E>ecnesba'
    """
    return _DIRECTION.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
