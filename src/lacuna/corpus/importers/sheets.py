"""Read the utterance table of importer ``table``: CSV in common dialects, or parquet."""

from __future__ import annotations

import csv
import io
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.corpus.importers.sources import many
from lacuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

STANDARD = ("id", "dialogue", "turn", "speaker", "split", "text")  # every other column is a label
_ID_NAME = re.compile(r".*id|.*name|.*key|.*(file|clip|segment).*", re.IGNORECASE)  # never "Utterance": these are the words
_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs"}
_NO_LABEL = ("nan", "NaN", "N/A", "n/a", "#N/A", "<NA>")  # as pandas and Excel write missing cells
_MOST_CLASSES = 200  # a column with more different words is not a label
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_COMMA, _PLAIN = r"[+-]?\d+,\d+", r"[+-]?\d+"  # numbers as a German Excel writes them


def header_of(line: str) -> tuple[str, list[str]]:
    """Return the separator and the cells of the first line.

    The separator is the one that yields a cell ``id``, otherwise the one that yields most cells.
    """
    cells = {separator: [c.strip() for c in next(csv.reader([line], delimiter=separator), [])] for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda s: ("id" in cells[s], len(cells[s])))  # max returns the first of equals
    return best, cells[best]


def ids_of(file: str, table: pd.DataFrame) -> list[str]:
    """Return the id of every row.

    Raises:
        DataError: no column ``id``, an empty id, or an id that occurs twice.
    """
    ids, columns = strings(table, "id"), [str(c) for c in table.columns]
    if ids is None:
        raise DataError(
            f"{file} has no column 'id'",
            expected="a column 'id' with one name an utterance",
            found=", ".join(columns),
            hint=_id_hint(table),
        )
    if None in ids:
        raise DataError(
            f"{file}: line {ids.index(None) + 2} has no id",
            expected="an id in every row",
            found="an empty cell",
            hint="write an id there, or delete the row",
        )
    names = [str(i) for i in ids]
    if len(set(names)) != len(names):
        twin = next(i for i in names if names.count(i) > 1)
        raise DataError(
            f"{file}: an id occurs twice",
            utterance=twin,
            found=f"{names.count(twin)} rows",
            hint="give every utterance an id of its own",
        )
    return names


def _id_hint(table: pd.DataFrame) -> str:
    """Return how to get a column ``id``: from a column of unique names without spaces, or from two columns together."""

    def names(columns: list[str]) -> bool:
        cells = table[columns].astype(str)
        return bool(table[columns].notna().all(axis=None) and not cells.duplicated().any() and not _has_spaces(cells))

    columns = [str(c) for c in table.columns]
    if single := [c for c in columns if _ID_NAME.fullmatch(c.strip()) and names([c])]:
        return f"rename the column that names the utterances to 'id' ('{single[0]}'?)"
    ids = [c for c in columns if c.strip().lower().endswith("id")]
    if len(ids) > 1 and names(ids):
        return f"add a column 'id' made of the columns {' and '.join(ids)}, which name every utterance together"
    return "add a column 'id' with a unique name for every utterance"


def _has_spaces(cells: pd.DataFrame) -> bool:
    return any(cells[column].str.contains(" ").any() for column in cells)


def read_sheet(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the table and notes on how it was read.

    Raises:
        DataError: not UTF-8, no rows, or lines of different length.
    """
    import pandas as pd  # here: slow to import
    import pyarrow as pa

    hint = None
    try:
        return (pd.read_parquet(file), []) if file.suffix.lower() == ".parquet" else _read_csv(file)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found, hint = f"byte 0x{error.object[error.start]:02x} in line {line}", "save it as UTF-8 (in Excel: 'CSV UTF-8')"
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        found = str(error)
    expected = "a header and rows" + (", as UTF-8" if hint else "")
    raise DataError(f"{file.name} is not a readable table", expected=expected, found=found, hint=hint)


def _read_csv(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return cells as text, empty ones as None, and label columns of numbers as numbers; short lines are errors."""
    import pandas as pd

    text = file.read_bytes().decode("utf-8-sig")
    text = text if "\n" in text else text.replace("\r", "\n")  # line ends of old Macs
    if not text.strip():
        raise ValueError("an empty file")
    separator = header_of(text.lstrip("\r\n").partition("\n")[0].rstrip("\r"))[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = [h.strip() for h in next((row for row in reader if row), [])]
    rows = []
    for row in reader:
        if row and len(row) != len(header):
            message = f"{file.name}: line {reader.line_num} is malformed"
            raise DataError(
                message,
                expected=f"{many(len(header), 'field')}, as in the header",
                found=len(row),
                hint="put quotes around cells that contain commas, and check the separator",
            )
        rows += [row] if any(cell.strip() for cell in row) else []  # Excel writes empty rows below a table
    header = [h.lower() if h.lower() in STANDARD and h.lower() not in header else h for h in header]
    if len(set(header)) != len(header) or not rows:
        raise ValueError("column names repeat" if rows else "no rows")
    table = pd.DataFrame([[cell if cell != "" else None for cell in row] for row in rows], columns=header, dtype=object)
    for column in [c for c in STANDARD if c != "text" and c in table]:
        table[column] = table[column].str.strip()
    commas, notes = [], []
    if header[0] in ("", "Unnamed: 0") and "id" in header:
        table, header = table.drop(columns=header[0]), header[1:]
        notes.append("the first column has no name and was not read: it is the row number that pandas writes")
    for column in [c for c in header if c not in STANDARD]:
        cells = table[column]
        if separator != "," and cells.str.fullmatch(_COMMA).any() and cells.dropna().str.fullmatch(f"{_COMMA}|{_PLAIN}").all():
            cells = cells.str.replace(",", ".", regex=False)
            commas.append(column)
        filled = cells.dropna()
        if separator == "," and filled.str.fullmatch(_COMMA).any() and filled.str.fullmatch(f"{_COMMA}|{_NUMBER}").all():
            message = f"{file.name}: numbers of column '{column}' have a comma"
            example = filled[filled.str.fullmatch(_COMMA)].iloc[0]
            raise DataError(
                message, expected="decimal points", found=example, hint="write 1.5 for 1,5, or separate by semicolons"
            )
        if (empty := cells.isin(_NO_LABEL)).any():
            notes.append(f"column '{column}': {many(int(empty.sum()), 'cell')} of NaN or N/A read as unlabelled")
            cells = cells.mask(empty, None)
            table[column] = cells
        spelled = {word.strip().lower() for word in cells.dropna()}
        if len(spelled) < cells.dropna().nunique() and len(spelled) < _MOST_CLASSES:
            words = sorted(set(cells.dropna()), key=lambda w: (w.strip().lower(), w))
            twins = next((a, b) for a, b in itertools.pairwise(words) if a.strip().lower() == b.strip().lower())
            message = f"{file.name}: words of column '{column}' differ in capitals or spaces only"
            raise DataError(
                message, expected="one spelling a class", found=f"{twins[0]!r} and {twins[1]!r}", hint="write them alike"
            )
        numbers = pd.to_numeric(cells, errors="coerce")
        if (numbers.isna() == table[column].isna()).all() and not numbers.isna().all():
            table[column] = numbers
    notes += [f"{file.name} is separated by {_SEPARATORS[separator]}"] if separator != "," else []
    return table, [*notes, *([f"decimal commas read in: {', '.join(commas)}"] if commas else [])]


def strings(table: pd.DataFrame, column: str) -> list[str | None] | None:
    """Return a column as text, empty cells as ``None``; ``None`` if the column does not exist."""
    if column not in table:
        return None
    return [None if missing else str(value) for value, missing in zip(table[column], table[column].isna(), strict=True)]
