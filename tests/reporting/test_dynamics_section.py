"""The section on emotion dynamics."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lacuna.reporting import Report, render_html
from lacuna.reporting.robustness.dynamics import dynamics_tables
from lacuna.reporting.robustness.results import results_page


def test_the_section_is_there_only_where_it_was_measured(report: Report) -> None:
    assert dynamics_tables(report) == []
    assert "Emotion dynamics" not in render_html(report)
    models = report.ranked[:2]
    rows = [
        (name, metric, 0.5 + 0.1 * i, 0.4, 0.7, 90, 0.25, 12)
        for i, name in enumerate(models)
        for metric in ("change_f1", "state_accuracy")
    ]
    columns = ["model", "metric", "mean", "low", "high", "turns", "changed", "dialogues"]
    with_section = replace(report, dynamics=pd.DataFrame(rows, columns=columns))
    (table,) = dynamics_tables(with_section)
    assert table.columns == ("Model", "Dialogue changes, F1", "State of a turn, accuracy")
    assert [row[0] for row in table.rows] == models
    assert table.rows[1][1].mark == "best"  # type: ignore[union-attr]
    assert "25\u202f% of the turns have another emotion" in table.note
    assert 'id="dynamics"' in render_html(with_section)
    assert "## Emotion dynamics" in results_page(with_section)
