"""The page of published figures names every system that has a paper, and gives the figures of the leaderboard."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from lacuna.models import model_table

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "leaderboard" / "headlines.py"


@pytest.fixture(scope="module")
def headlines() -> ModuleType:
    spec = importlib.util.spec_from_file_location("headlines", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_system_with_a_paper_is_on_the_page(headlines: ModuleType) -> None:
    models = model_table()
    listed = re.findall(r"^\| \[`(\w+)`\]", headlines.PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert listed == models[models["paper"] != ""]["name"].tolist()
    assert set(models[models["reconstruction"]]["name"]) <= set(listed)
    assert sorted(pd.read_csv(SCRIPT.with_suffix(".csv"))["model"]) == sorted(listed)


def test_the_table_and_the_figures_in_the_text_are_those_of_the_leaderboard(headlines: ModuleType) -> None:
    text = headlines.PAGE.read_text("utf-8")
    table = text.split(headlines.BEGIN)[1].split(headlines.END)[0]
    assert table == headlines.headlines_table(), "run experiments/leaderboard/headlines.py"
    for model in ("gcnet", "imder", "mmin", "cra"):
        for corpus in ("iemocap", "mosi"):
            assert headlines.board_figure(corpus, model) in text.split(headlines.BEGIN)[0]
