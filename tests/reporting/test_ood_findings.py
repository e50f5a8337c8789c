"""Findings on shifted tests, and the number of comparisons behind them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lacuna.reporting.shift.facts import OodReport, level
from lacuna.reporting.shift.findings import _detected, _few_dialogues, _losses
from lacuna.reporting.shift.page import TEST_LIMIT, limits_of


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
