"""A run killed with SIGKILL at any moment and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CONFIG = {
    "epochs": 8,
    "batch_size": 16,
    "rates": [0.0, 0.3, 0.5],
    "device": "cpu",
    "learning_rate": 0.01,
    "threads": 1,
    "checkpoint_seconds": 0,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize(
    ("name", "changes", "mode", "kills"),
    [
        ("toy", {"ema": 0.9, "accumulate": 2, "checkpoint_steps": 1}, "events", 30),  # at each file operation in turn
        ("staged", {"checkpoint_steps": 2}, "events", 10),
        ("talk", {"schedule": "cosine", "checkpoint_steps": 3}, "times", 6),  # at random moments
    ],
)
def test_a_killed_run_ends_with_the_same_weights(
    name: str, changes: dict[str, Any], mode: str, kills: int, tmp_path: Path
) -> None:
    scenario = {
        "name": name,
        "settings": {},
        "config": CONFIG | changes,
        "mode": mode,
        "kills": kills,
        "folder": str(tmp_path),
        "seed": 1,
    }
    script = Path(__file__).with_name("killing.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(scenario)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["same"]
    assert verdict["kills"] >= (kills // 2 if mode == "events" else 1)  # at random moments it may end first
    assert verdict["rows"] == list(range(8))  # no epoch logged twice
    assert verdict["left"] == ["best", "log.jsonl", "result.json"]
