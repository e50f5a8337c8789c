"""An extraction that is killed with SIGKILL at random moments and started again writes the same corpus, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "media_kills.py"
WITHOUT_WEIGHTS = "--text hashing --audio logmel --vision none"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs SIGKILL")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_extraction_writes_the_same_corpus(workers: int, tmp_path: Path) -> None:
    options = f"{WITHOUT_WEIGHTS} --workers {workers}"
    command = [sys.executable, str(SCRIPT), "--clips", "20", "--kills", "3", "--options", options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["kills"] == 3
    assert result["same"]
    assert [name.partition("-")[0] for name in result["files"]] == ["corpus.json", "features", "quarantine.csv", "utterances"]
