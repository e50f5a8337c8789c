"""Exhausted memory is named, SIGTERM says how to go on, and processes end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lacuna.cli import main
from lacuna.errors import DataError, is_out_of_memory, readable

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
