"""Texts of a corpus cannot become formulas of a spreadsheet, nor look like other texts."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lacuna
from lacuna.corpus.diagnosis import Diagnosis
from lacuna.corpus.doctor import render
from lacuna.datasets.files import TableDataset
from lacuna.reporting.core.html import environment
from lacuna.reporting.core.table import Table, to_csv
from lacuna.text import csv_blocks, csv_text, original_cell, safe_cell, safe_frame, visible

FORMULAS = ["=1+1", "+A1", "@SUM(A1)", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1", "-A1*2"]
PLAIN = ["joy", "-6rXp3zJ3kc[0]", "-1.5e3", "+4", "a=b", "'quoted'", "", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    frame = safe_frame(pd.DataFrame({"id": [text, "u1"], text: [1.0, -2.0]}))
    assert list(frame.columns) == ["id", f"'{text}"]
    assert frame["id"].tolist() == [f"'{text}", "u1"]
    (head, row) = csv.reader(io.StringIO(to_csv(Table("t", "t", "c", ("class", text), ((text, "x"),)))))
    assert head[1] == row[0] == f"'{text}".replace("\r", " ")


@pytest.mark.parametrize("text", PLAIN)
def test_ids_and_numbers_stay(text: str) -> None:
    assert safe_cell(text) == text


@given(st.text(alphabet="'=+-@\t\ra1[", max_size=6))
def test_the_rule_can_be_undone(text: str) -> None:
    assert original_cell(safe_cell(text)) == text


def test_a_stored_table_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [*FORMULAS[:4], *PLAIN[:2]], "value": range(6)})
    dataset = TableDataset(filepath=str(tmp_path / "table.csv"))
    dataset.save(table)
    pd.testing.assert_frame_equal(dataset.load(), table, check_dtype=False)


NUMBERS = st.floats() | st.floats(-1e-3, 1e-3) | st.floats(1e-10, 1e-7) | st.floats(1e9, 1e17) | st.integers(-5, 5).map(float)
CELLS = st.text(alphabet="'=+-@\t\na1[,\"é ", max_size=6) | st.none()
ROWS = st.lists(st.tuples(CELLS, NUMBERS, st.booleans(), st.integers(-(2**63), 2**63 - 1)), max_size=8)


@given(ROWS, st.booleans())
def test_csv_has_the_bytes_of_pandas(rows: list[tuple[object, ...]], mixed: bool) -> None:
    """Blocks of three rows; with a column of mixed types pandas writes the block."""
    table = pd.DataFrame(rows, columns=["text", "a,number", "flag", "=whole"]).astype({"a,number": float, "flag": bool})
    if mixed:
        table["mixed"] = pd.Series([1 if row % 2 else "=1" for row in range(len(rows))], dtype=object)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lacuna.text.BLOCK", 3)
        assert b"".join(csv_blocks(table)) == safe_frame(table).to_csv(index=False, lineterminator="\n").encode()


@given(st.lists(st.text(alphabet="\r\n\t,\"'=-a", max_size=5), min_size=1, max_size=4))
def test_a_written_csv_gives_its_texts_back(texts: list[str]) -> None:
    table = pd.DataFrame({"id": texts, "number": range(len(texts))})
    rows = list(csv.reader(io.StringIO(b"".join(csv_blocks(table)).decode(), newline="")))
    assert [original_cell(row[0]) for row in rows[1:]] == texts


def test_tables_of_results_have_one_writer() -> None:
    """Quarantine, reports and predictions have the same rule for formulas; recordings.csv is read again by its importer."""
    root = Path(lacuna.__file__).parent
    writers = {str(path.relative_to(root)) for path in root.rglob("*.py") if ".to_csv(" in path.read_text("utf-8")}
    assert writers == {"text.py", "cli/corpora_command.py"}
    assert csv_text(pd.DataFrame({"id": FORMULAS[:1]})) == "id\n'=1+1\n"


def test_characters_of_direction_are_shown() -> None:
    name = "joy\u202etset"
    assert visible(name) == "joy<U+202E>tset"
    assert "\u202e" not in render(Diagnosis(name, "a file", errors=(name,)))
    page = environment().from_string("{{ name }}").render(name=name)
    assert page == "joy&lt;U+202E&gt;tset"
