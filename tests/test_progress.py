"""Progress of long work: a bar on a terminal, few plain lines elsewhere, one progress for nested and parallel work."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lacuna import parallel
from lacuna.progress import progress, shown_by, tracked


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    clock = [0.0]
    monkeypatch.setattr("lacuna.progress.time.monotonic", lambda: clock[0])

    def passing(more: float) -> None:
        clock[0] += more

    return passing


def test_plain_lines_come_every_ten_seconds_and_say_what_is_left(
    seconds: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lacuna.progress"), progress("scoring", 10) as shown:
        for done in range(1, 11):
            seconds(6)
            shown.update(done)
    assert lines_of(caplog)[:2] == ["scoring: 2 of 10, about 48 s left", "scoring: 4 of 10, about 36 s left"]
    assert len(caplog.records) == 5


def test_fast_work_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lacuna.progress"):
        assert list(tracked(range(5), "scoring")) == [0, 1, 2, 3, 4]
    assert not caplog.records


def test_a_terminal_gets_one_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("scoring", 2) as whole, whole.part():
        assert list(tracked("ab", "mlp")) == ["a", "b"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "scoring" in captured.err
    assert "left" in captured.err


def test_a_part_moves_the_whole_by_its_share() -> None:
    shares: list[tuple[float, str]] = []
    with shown_by(lambda share, note, line: shares.append((share, note))), progress("training", 4) as whole:
        with whole.part(), progress("mlp", 2) as shown:
            shown.update(1, "epoch 1")
        whole.update(4)
    assert shares == [
        (0.125, "training: mlp: epoch 1"),
        (0.25, "training: 1 of 4"),
        (1.0, "training: 4 of 4"),
    ]


def _slow(job: int) -> int:
    with progress("job", 4) as shown:
        shown.update(job)
    return job


def test_work_in_another_process_tells_its_share_by_a_file(tmp_path: Path) -> None:
    shares: list[float] = []
    told = shown_by(lambda share, note, line: shares.append(share))
    with told, progress("jobs", 2) as whole, parallel._watched(tmp_path, whole):
        assert parallel._work(_slow, 1, tmp_path / "0", os.getppid()) == 1
        (tmp_path / "1").write_text("0.5")
    assert shares[-1] == 0.75  # one job of two is done, and half of the other


def test_one_worker_shows_the_same_progress() -> None:
    shares: list[float] = []
    with shown_by(lambda share, note, line: shares.append(share)), progress("jobs", 2) as whole:
        assert list(parallel.run_parallel(_slow, [1, 2], 1, progress=whole)) == [1, 2]
    assert shares == [0.125, 0.5, 0.75, 1.0]
