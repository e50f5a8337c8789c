import csv
import io
import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from lacuna.reporting import Table, Value, all_tables, areas_table, rates_table, to_csv, to_latex, to_markdown
from lacuna.reporting.core.table import marked, unique

NUMBER = re.compile(r"[\u2212+-]?\d+\.\d{3}\b")


def numbers(text):
    return [float(t.replace("\u2212", "-")) for t in NUMBER.findall(text)]


def test_the_three_formats_agree_in_every_number(report):
    tables = all_tables(report)
    assert len(tables) > 20
    for table in tables:
        markdown = numbers("\n".join(to_markdown(table).splitlines()[2:]))
        body = to_latex(table).split("\\midrule")[1].split("\\bottomrule")[0]
        latex = numbers(body.replace("--", " to ").replace("$-$", "\u2212"))
        rows = list(csv.reader(io.StringIO(to_csv(table))))
        heads, cells = rows[0], [c for row in rows[1:] for c in row]
        assert len({len(r) for r in rows}) == 1, table.name
        assert len(heads) == len(set(heads)), table.name
        exact = [round(float(c), 3) for c in cells if re.fullmatch(r"-?\d+(\.\d+)?(e-\d+)?", c)]
        assert markdown == latex, table.name
        assert markdown == pytest.approx(exact, abs=1.01e-3), table.name


def test_every_table_of_models_ends_with_the_baseline(report):
    for table in all_tables(report):
        if not table.name.startswith("comparisons"):
            assert table.rows[-1][0] == "majority-class baseline", table.name
            assert all(math.isfinite(v.mean) for v in table.rows[-1][1:]), table.name


def test_the_best_value_and_intervals_that_contain_it_are_marked():
    column = [Value(0.7, 0.68, 0.72), Value(0.69, 0.67, 0.71), Value(0.5, 0.4, 0.6), Value(0.9)]
    marks = [v.mark for v in marked(column, higher=True, ranked=[True, True, True, False])]
    assert marks == ["best", "near", "", ""]
    assert [v.mark for v in marked(column, higher=False, ranked=[True] * 4)] == ["", "", "best", ""]
    assert [v.mark for v in marked([Value(math.nan)], higher=True, ranked=[True])] == [""]


def test_a_baseline_that_is_best_is_marked(report):
    summary = report.summary.assign(constant=0.99)
    table = rates_table(replace(report, summary=summary), "weighted_f1", ("rmm", ""))
    assert {v.mark for v in table.rows[-1][1:]} == {"best"}


def test_references_are_named_and_not_ranked(report):
    table = rates_table(replace(report, references=("mlp",)), "weighted_f1", ("rmm", ""))
    row = next(r for r in table.rows if r[0] == "mlp (reference)")
    assert {v.mark for v in row[1:]} == {""}


def test_names_cannot_break_a_table():
    evil = r"a|b & c_d % $x$ {y} \z <script>alert(1)</script> #1 ~ ^ ü"
    table = Table("t", "t", evil, ("Model", evil), ((evil, Value(0.5)),))
    markdown = to_markdown(table).splitlines()
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in markdown)
    assert "<script" not in markdown[0]
    latex = to_latex(table)
    assert latex.count("&") - latex.count(r"\&") == 2  # one column break in the head, one in the row
    assert not re.search(r"(?<!\\)[%$#]", latex.split("\n", 1)[1].replace("$-$", ""))
    assert r"\textbackslash{}z" in latex
    assert evil in next(csv.reader(io.StringIO(to_csv(table))))


def test_missing_numbers_and_intervals():
    table = Table(
        "t", "t", "", ("Model", "x", "y"), (("a", Value(math.nan), Value(0.1)), ("b", Value(-0.2, -0.3, -0.1), Value(0.2)))
    )
    assert to_csv(table).splitlines() == ["Model,x,x low,x high,y", "a,,,,0.1", "b,-0.2,-0.3,-0.1,0.2"]
    lines = to_markdown(table).splitlines()
    assert lines[2] == "| a | n/a | 0.100 |"
    assert lines[3] == "| b | \u22120.200 (\u22120.300 to \u22120.100) | 0.200 |"


def test_file_names_are_unique_and_safe(report):
    names = [t.name for t in all_tables(report)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)


def test_names_that_look_alike_do_not_share_a_file(report):
    own = [report.summary.assign(pattern="modalities", setting=s) for s in ("a+b", "a-b", "a b")]
    names = [t.name for t in all_tables(replace(report, summary=pd.concat(own), areas=None, comparisons=None))]
    assert names[:3] == [f"rates-modalities-a-b-weighted_f1{end}" for end in ("", "-2", "-3")]
    assert len(names) == len(set(names))


def test_a_number_does_not_make_a_name_that_is_taken():
    assert unique(["a", "a", "a-2", "a"]) == ["a", "a-2", "a-2-2", "a-3"]


def test_more_of_the_ceiling_is_better_whatever_the_metric(report):
    own = report.areas.query("metric == 'log_loss' and measure == 'auilc' and pattern == 'rmm'")
    share = own.assign(
        measure="share_of_ceiling", constant=0.0, mean=own["model"].map({"mlp": 0.9}).fillna(0.2), low=-1, high=0.95
    )
    table = areas_table(replace(report, areas=pd.concat([own, share])), "log_loss", ("rmm", ""))
    best = [row[0] for row in table.rows if row[2].mark == "best"]
    assert best == ["mlp"]
    assert "Lower is better, but higher in Share of ceiling." in table.note
