"""``lacuna bench`` killed ten times at random moments ends with the leaderboard of one that was left alone, byte for byte."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

KILLS = 10
BOARD = "data/09_bench/leaderboard/tiny/leaderboard.md"


def start(project: Path, workers: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lacuna", "bench", "tiny", "--workers", str(workers), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload]


def steps(project: Path) -> set[tuple[str, int]]:
    """All files that a run makes, with their sizes: each change is a moment at which it may be killed."""
    found = set()
    for folder, _, names in os.walk(project / "data"):
        for name in names:
            try:
                found.add((f"{folder}/{name}", os.stat(f"{folder}/{name}").st_size))
            except FileNotFoundError:
                continue
    return found


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups and SIGKILL")
@pytest.mark.timeout(1500)  # 60 s on a core of one's own, but ten programs have to start
def test_a_grid_that_is_killed_ten_times_ends_with_the_same_leaderboard(project: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(project, alone)
    process = start(alone, workers=1)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    expected = (alone / BOARD).read_bytes()

    rng, kills, groups = random.Random(0), 0, []
    try:
        while kills < KILLS:
            workers = 2 if kills % 4 == 3 else 1
            process = start(project, workers)
            groups.append(process.pid)
            seen, changes, wanted = steps(project), 0, rng.randint(1, 6)
            while changes < wanted and process.poll() is None:
                time.sleep(0.01)
                now = steps(project)
                changes += len(now - seen)
                seen = now
            time.sleep(rng.uniform(0, 0.02))
            assert process.poll() is None, f"it ended before it was killed: {process.communicate()[0]}"
            if workers == 1:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()  # its workers do not know, and go on for a while: the next run has to bear it
            process.wait()
            kills += 1
            assert not (project / BOARD).exists()
        process = start(project, workers=1)
        groups.append(process.pid)
        said, _ = process.communicate()
    finally:
        for group in groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
    assert process.returncode == 0, said
    assert (project / BOARD).read_bytes() == expected
    cells = list((project / "data/09_bench").glob("*/done.json"))
    assert len(cells) == 7  # three models, two seeds, and the ceiling
    assert not list((project / "data/09_bench").glob("*/failed.json"))
    assert not list((project / "data/09_bench").glob("*/.partial-*"))

    said, _ = start(project, 1, "--list").communicate()
    assert [line.split()[0] for line in said.splitlines()] == ["tiny:", *["done"] * len(cells)]  # nothing is left to run
