"""Findings on shifted tests, and the number of comparisons behind them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lacuna.reporting.core.table import Value
from lacuna.reporting.shift.facts import OodReport, level
from lacuna.reporting.shift.findings import _detected, _few_dialogues, _losses
from lacuna.reporting.shift.page import TEST_LIMIT, limits_of
from lacuna.reporting.shift.sets import coverage_findings, sets_table


def report(lows: dict[float, float], pool: str = "test") -> SimpleNamespace:
    """Return a report with the lower end of the interval of AUROC by missing rate."""
    rows = [
        {"test": test, "model": model, "pattern": pattern, "setting": "", "rate": rate, "score": score, "low": low, "high": high}
        for test in ("ood", "noise")
        for rate, at in lows.items()
        for pattern in ("rmm", "temporal")
        for score in ("energy", "confidence")
        for model, low, high in (("mlp", at, 0.9), ("prior", 0.5, 0.5))
    ]
    parts = SimpleNamespace(config=SimpleNamespace(pool=pool))
    return SimpleNamespace(detection=pd.DataFrame(rows), facts=SimpleNamespace(level=0.95), parts=parts)


def test_detection_is_measured_on_complete_data_and_names_the_number_of_comparisons() -> None:
    found = _detected(report({0.0: 0.45, 0.5: 0.6}))
    assert found.caution
    assert "no model's energy" in found.text
    assert "0\u202f% missing" in found.text
    assert "of 2, about 0.1 are above 0.5 by chance" in found.text  # the prior separates nothing
    found = _detected(report({0.0: 0.6, 0.5: 0.45}))
    assert not found.caution
    assert "better than chance for mlp. Each" in found.text


def test_lost_coverage_is_named_with_its_binomial_bound() -> None:
    rows = [
        {"test": test, "model": model, "pattern": "rmm", "setting": "", "available": available, "n": 300, "covered": 300 * share}
        for test, by_model in {"iid": {"mlp": 0.9, "prior": 0.99}, "ood": {"mlp": 0.8, "prior": 0.88}}.items()
        for model, share in by_model.items()
        for available in ("text", "audio")
    ]
    content = SimpleNamespace(
        sets=pd.DataFrame(rows).assign(size=600.0),
        tests=pd.DataFrame({"test": ["iid", "ood"], "n": [100, 100]}),
        ranked=["mlp", "prior"],
        facts=SimpleNamespace(classes=("a", "b", "c")),
    )
    (found,) = coverage_findings(content)
    assert found.caution
    assert found.text.endswith("less often than chance explains on ood: mlp 0.800 (bound 0.840).")
    table = sets_table(content, ("rmm", ""))
    assert [row[:3] for row in table.rows[:2]] == [("iid", "mlp", "100"), ("iid", "prior", "100")]
    assert [row[3].mark for row in table.rows] == ["", "", "best", ""]
    assert table.rows[0][4] == Value(0.9, 0.84, 0.95)
    assert table.rows[0][5] == Value(2.0)
    content.sets["covered"] = 285.0
    (found,) = coverage_findings(content)
    assert not found.caution
    assert "on no test" in found.text


@pytest.mark.parametrize(("pool", "expected"), [("test", True), ("all", False)])
def test_only_parts_of_the_own_test_are_called_so(pool: str, expected: bool) -> None:
    assert (TEST_LIMIT in limits_of(report({0.0: 0.5}, pool))) is expected


@pytest.mark.parametrize(("dialogues", "shown"), [(9, False), (10, True)])
def test_a_test_with_few_dialogues_gets_no_interval_and_the_page_says_why(dialogues: int, shown: bool) -> None:
    bounds = (0.1, 0.3) if shown else (np.nan, np.nan)
    gap = {"test": "ood", "model": "mlp", "pattern": "rmm", "setting": "", "metric": "weighted_f1", "measure": "auilc"}
    gap |= {"gap": 0.2, "low": bounds[0], "high": bounds[1], "constant_gap": 0.1}
    content = SimpleNamespace(
        summary=pd.DataFrame({"test": ["iid", "ood"], "dialogues": [40, dialogues]}),
        gaps=pd.DataFrame([gap]),
        primary="weighted_f1",
        facts=SimpleNamespace(seeds=[0], level=0.95),
    )
    content.few_dialogues = OodReport.few_dialogues.fget(content)
    assert bool(_few_dialogues(content)) is not shown
    assert ("No interval with fewer than 10 dialogues: ood." in level(content)) is not shown
    text = _losses(content, ("rmm", "")).text
    assert ("Significantly worse on the OOD test: mlp" in text) is shown
    assert ("without intervals: mlp" in text) is not shown
