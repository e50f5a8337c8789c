"""Exhausted memory is named, SIGTERM says how to go on, and processes end with the one that started them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from lacuna import hooks
from lacuna.cli import main
from lacuna.errors import DataError, is_out_of_memory, readable
from lacuna.pipelines import run_command

ERRORS = {
    "python": MemoryError(),
    "torch": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 24 bytes"),
    "worker": BrokenProcessPool("killed"),
}
PARENT = """
import os, time
from pathlib import Path
from lacuna.parallel import run_parallel

def sleep(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    list(run_parallel(sleep, [{folder!r}] * 2, 2))
"""


@pytest.fixture
def command() -> Iterator[list[BaseException | None]]:
    """A command that raises what is in the list, or sends SIGTERM to itself."""
    errors: list[BaseException | None] = []

    @click.command()
    def failing() -> None:
        if errors[0] is None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        else:
            raise errors[0]

    main.add_command(failing, "failing")
    yield errors
    del main.commands["failing"]


@pytest.mark.parametrize("kind", ERRORS)
def test_exhausted_memory_is_named(kind: str, command: list[BaseException | None]) -> None:
    command.append(ERRORS[kind])
    result = CliRunner().invoke(main, ["failing"])
    assert result.exit_code == 1
    assert "memory" in result.output
    assert "do: close other programs" in result.output


def test_other_errors_stay_as_they_are(command: list[BaseException | None]) -> None:
    command.append(RuntimeError("shapes differ"))
    assert isinstance(CliRunner().invoke(main, ["failing"]).exception, RuntimeError)


def test_sigterm_says_what_is_kept(command: list[BaseException | None]) -> None:
    command.append(None)
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(main, ["failing"])
    assert result.exit_code == 130
    assert "what is finished is kept, and the same command goes on from there" in result.output
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_is_named(command: list[BaseException | None]) -> None:
    error = RuntimeError("saving failed")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    command.append(error)
    result = CliRunner().invoke(main, ["failing"])
    assert result.exit_code == 1
    assert "the disk is full" in result.output
    assert "do: make room there" in result.output


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "memory is exhausted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.parquet"), "the disk is full"),
        (DataError("too small", hint="add rows"), "too small"),
    ],
)
def test_kedro_shows_them_in_short(error: Exception, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    outer = RuntimeError("Failed while saving data")
    outer.__cause__ = error
    hooks._short(RuntimeError, outer, None)
    said = capsys.readouterr().err
    assert f"error: {message}" in said
    assert "do: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_kedro_run_says_what_is_kept(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    run_hooks = hooks.RunHooks()

    def interrupted(**options: Any) -> None:
        first, second = SimpleNamespace(name="train.first", outputs=[]), SimpleNamespace(name="train.second")
        run_hooks.before_node_run(first)
        run_hooks.after_node_run(first, None, {})
        run_hooks.before_node_run(second)
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(run_command.run, "callback", interrupted)
    monkeypatch.setattr(run_command, "settings", SimpleNamespace(HOOKS=(run_hooks,)))
    result = CliRunner().invoke(run_command.kedro_run(), [])
    assert result.exit_code == 130
    assert "interrupted; finished: train.first; what is finished is kept" in result.output
    assert "do: the same command, or add --from-nodes train.second" in result.output


def test_exhausted_memory_is_no_damaged_file() -> None:
    with pytest.raises(MemoryError), readable("it cannot be read", "x", "write it again"):
        raise MemoryError
    with pytest.raises(DataError), readable("it cannot be read", "x", "write it again"):
        raise RuntimeError
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT.format(folder=str(tmp_path)))
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while len(workers := [int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        parent.send_signal(number)
        parent.wait(20)
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
