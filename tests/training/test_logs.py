from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lacuna.training import Fitted

Train = Callable[..., Fitted]


def test_every_epoch_is_a_line_of_the_log(train_toy: Train, tmp_path: Path) -> None:
    history = train_toy(folder=tmp_path).history
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == history


def test_events_for_tensorboard(train_toy: Train, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = train_toy(folder=tmp_path, tensorboard=True).history
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [e.step for e in events.Scalars("weighted_f1")] == [0, 1, 2]
    assert events.Scalars("valid_loss")[1].value == pytest.approx(history[1]["valid_loss"])


def test_without_a_terminal_few_plain_lines(train_toy: Train, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lacuna"):
        train_toy(epochs=8, patience=0)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 2  # the first epoch and the last one; those between came too soon after
    assert lines[0].startswith("toy, seed 0: epoch 1 of 8, loss ")
    assert "weighted_f1" in lines[1]


def test_slow_epochs_are_told_one_by_one(
    train_toy: Train, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacuna.progress.PAUSE", -1)
    with caplog.at_level(logging.INFO, logger="lacuna"):
        train_toy()
    assert sum("update 3 of 5" in r.getMessage() for r in caplog.records) == 3


def test_a_bar_on_a_terminal(train_toy: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train_toy()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "toy, seed 0" in captured.err
