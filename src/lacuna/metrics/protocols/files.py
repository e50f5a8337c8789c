"""Read tables of predictions, truth and answers: CSV, JSON, JSONL or parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lacuna.errors import ConfigError, DataError, suggestion

FORMATS = (".csv", ".json", ".jsonl", ".parquet")


def read_table(path: Path) -> pd.DataFrame:
    """Return a table as it is written: cells of a CSV are text, and only an empty cell is missing.

    JSON is a list of objects, or one object: ids and their objects or values. JSONL is one object a line.

    Args:
        path: ends in .csv, .json, .jsonl or .parquet.

    Returns:
        One row an entry. A JSON object of plain values gives the columns ``id`` and ``text``.

    Raises:
        ConfigError: there is no such file, or its ending is unknown.
        DataError: the file cannot be read as what its ending says.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(f"{path} ends in {suffix or 'nothing'}{suggestion(suffix, FORMATS)}; readable: {', '.join(FORMATS)}")
    try:
        if suffix == ".csv":
            return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
        if suffix == ".parquet":
            return pd.read_parquet(path)
        text = path.read_text("utf-8-sig")
        if suffix == ".jsonl":
            return pd.DataFrame([_line(path, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()])
        return _entries(path, json.loads(text))
    except (json.JSONDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read",
            expected=f"UTF-8 {suffix[1:].upper()}",
            found=str(error),
            hint="save the table again as UTF-8",
        ) from None


def _line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"line {number} of {path} is no JSON", found=f"{error.msg} at column {error.colno}", hint="correct the line"
        ) from None
    if not isinstance(entry, dict):
        raise DataError(
            f"line {number} of {path} is no object",
            expected='{"id": ..., ...}',
            found=line[:60],
            hint="write one JSON object on each line",
        )
    return entry


def _entries(path: Path, content: Any) -> pd.DataFrame:
    if isinstance(content, list) and all(isinstance(entry, dict) for entry in content):
        return pd.DataFrame(content)
    if isinstance(content, dict):
        rows = [{"id": key, **value} if isinstance(value, dict) else {"id": key, "text": value} for key, value in content.items()]
        return pd.DataFrame(rows)
    raise DataError(
        f"{path} holds no table",
        expected="a list of objects, or one object from ids to answers",
        hint="see docs/explanation/protocols.md for the format",
    )
