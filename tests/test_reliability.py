"""A short run of the battery in benchmarks/reliability: kills, full disks and limits of memory lose nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "reliability"), *arguments, "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_table_counts_what_survived_and_the_status_says_whether_all_did(tmp_path: Path) -> None:
    rows = [{"part": "kills", "command": name, "seed": 0, "tried": 4, "survived": 4, "problem": ""} for name in ("train", "save")]
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"part": "kil')  # the last line was cut
    done = _run(tmp_path, "table")
    assert done.returncode == 0, done.stderr
    assert "| kills | all | 8 | 8 |" in done.stdout
    lost = rows[0] | {"seed": 1, "survived": 0, "problem": "2 results differ"}
    journal.write_text("".join(json.dumps(row) + "\n" for row in [*rows, lost]))
    done = _run(tmp_path, "table")
    assert done.returncode == 1
    assert "| kills | all | 12 | 8 |" in done.stdout
    assert "kills train, seed 1: 2 results differ" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups and SIGKILL")
@pytest.mark.parametrize(
    "arguments",
    [
        ("kills", "--number", "6", "--kills", "2", "--commands", "ingest", "train", "save"),
        ("disk", "--number", "6", "--commands", "ingest", "train", "evaluate", "save"),
        ("memory", "--number", "4"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_nothing_is_lost(arguments: tuple[str, ...], tmp_path: Path) -> None:
    if arguments[0] == "disk" and not _can_mount(tmp_path):
        pytest.skip("a file system of a few megabytes cannot be mounted here")
    done = _run(tmp_path / "battery", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def _can_mount(folder: Path) -> bool:
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4096", "try", str(folder)], capture_output=True, check=False
        )
    except OSError:
        return False
    if not mounted.returncode:
        subprocess.run(["umount", "-l", str(folder)], check=False)
    return mounted.returncode == 0
