"""Every notebook runs from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_is_kept_without_outputs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    space: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        assert not cell["outputs"], "clear the outputs before committing"
        exec(compile("".join(cell["source"]), f"{path.name}[{number}]", "exec"), space)
    assert capsys.readouterr().out
