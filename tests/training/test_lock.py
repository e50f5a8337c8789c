"""Two processes never train in one run folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lacuna.errors import TrainingError
from lacuna.training import Fitted
from lacuna.training.lock import LOCK, locked

Train = Callable[..., Fitted]
pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from lacuna.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_by_name_and_touches_nothing(train_toy: Train, tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        (tmp_path / ".partial-0123-state").write_bytes(b"being written")
        with pytest.raises(TrainingError) as error:
            train_toy(folder=tmp_path)
        for part in ("another process trains in", str(tmp_path), f"process {process.pid} on host {socket.gethostname()}", "wait"):
            assert part in str(error.value)
        assert sorted(p.name for p in tmp_path.iterdir()) == [".partial-0123-state", LOCK]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / LOCK).exists()  # the file outlives a killed process, the lock does not
    train_toy(folder=tmp_path)
    assert sorted(p.name.partition("-")[0] for p in tmp_path.iterdir()) == ["best", "log.jsonl", "result.json"]


def test_it_is_held_while_training_and_for_that_folder_alone(
    train_toy: Train, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, seen = toys.Toy.prepare, []

    def spy(self: torch.nn.Module, batches: object) -> None:
        seen.append(json.loads((tmp_path / "a" / LOCK).read_text()))
        with pytest.raises(TrainingError, match="another process trains in"), locked(tmp_path / "a"):
            pass
        with locked(tmp_path / "b"):
            prepare(self, batches)

    monkeypatch.setattr(toys.Toy, "prepare", spy)
    train_toy(folder=tmp_path / "a", epochs=1)
    assert seen == [{"pid": os.getpid(), "host": socket.gethostname()}]
    assert not list(tmp_path.glob(f"*/{LOCK}"))


def test_a_finished_run_needs_no_lock(train_toy: Train, tmp_path: Path) -> None:
    first = train_toy(folder=tmp_path)
    with locked(tmp_path):  # another process reads the same result at this moment
        again = train_toy(folder=tmp_path)
        (tmp_path / "last.json").write_text("{}")
        train_toy(folder=tmp_path)
        assert (tmp_path / "last.json").exists()  # and clears up itself
    assert again.history == first.history
    train_toy(folder=tmp_path)
    assert not (tmp_path / "last.json").exists()


def test_it_is_given_back_after_an_error(train_toy: Train, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        train_toy(folder=tmp_path, settings={"bad_after": 0})
    assert not (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_an_owner_that_ends_between_opening_and_locking_leaves_no_shared_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was opened may be deleted by its owner before it is locked: a lock on it would be nobody's."""
    import fcntl

    real, calls = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert len(calls) == 2
        with pytest.raises(TrainingError), locked(tmp_path):
            pass


def test_where_files_cannot_be_locked_training_goes_on_with_a_warning(
    train_toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    train_toy(folder=tmp_path, epochs=1)
    assert "cannot be locked" in caplog.text
    monkeypatch.setitem(sys.modules, "fcntl", None)
    train_toy(folder=tmp_path / "windows", epochs=1)


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(train_toy: Train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"nothing can be written to .+file"):
        train_toy(folder=tmp_path / "file" / "run")
