"""Run commands in forks of one process that has imported what they need, because imports take longer than tiny commands.

As a script: reads requests from standard input, one JSON object a line (``arguments`` after ``python``, ``folder``, ``output``),
forks for each one, and writes ``pid`` when it starts and ``status`` when it ends. Every command has its own process group.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

IMPORTS = ("torch", "torch.optim.adamw", "optuna", "kedro.framework.cli.project", "kedro.framework.session", "kedro_datasets")
IMPORTS += (
    "lacuna.api",
    "lacuna.cli.grid_commands",
    "lacuna.pipelines.bench_command",
    "lacuna.pipeline_registry",
    "lacuna.hooks",
)
IMPORTS += ("lacuna.media", "lacuna.reporting", "lacuna.pipelines.run_command")


class Preloaded:
    """The process that forks; ``start`` returns a command that runs."""

    def __init__(self, environment: dict[str, str]) -> None:
        program = [sys.executable, __file__]
        self.process = subprocess.Popen(
            program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.statuses: dict[int, int] = {}

    def start(self, arguments: tuple[str, ...], folder: Path, output: Path) -> Forked:
        """Start a command."""
        assert self.process.stdin is not None
        request = {"arguments": arguments, "folder": str(folder), "output": str(output)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        while "status" in (answer := self._answer()):
            self.statuses[answer["pid"]] = answer["status"]
        return Forked(self, answer["pid"])

    def status(self, pid: int, timeout: float) -> int | None:
        """Return the status of a command that has ended, ``None`` if it still runs after the timeout in seconds."""
        deadline = time.monotonic() + timeout
        while pid not in self.statuses:
            left = deadline - time.monotonic()
            if not select.select([self.process.stdout], [], [], max(0.0, left))[0]:
                return None
            answer = self._answer()
            self.statuses[answer["pid"]] = answer["status"]
        return self.statuses[pid]

    def _answer(self) -> dict[str, Any]:
        # unbuffered, so that `select` sees every line that was not read yet
        line = bytearray()
        while not line.endswith(b"\n"):
            line += os.read(self.process.stdout.fileno(), 1) or b"\n"  # type: ignore[union-attr]
        answer: dict[str, Any] = json.loads(line)
        return answer


class Forked:
    """A running command, with the methods of :class:`subprocess.Popen` that the battery uses."""

    def __init__(self, parent: Preloaded, pid: int) -> None:
        self.parent, self.pid = parent, pid

    def poll(self) -> int | None:
        """Return the status, or ``None`` while the command runs."""
        return self.parent.status(self.pid, 0.0)

    def wait(self, timeout: float = 1e9) -> int:
        """Return the status when the command has ended; raises :class:`subprocess.TimeoutExpired`."""
        status = self.parent.status(self.pid, timeout)
        if status is None:
            raise subprocess.TimeoutExpired("command", timeout)
        return status

    @property
    def returncode(self) -> int | None:
        """The status, or ``None`` while the command runs."""
        return self.poll()


def _be_command(request: dict[str, Any]) -> None:
    """Become the command of a request; never returns."""
    status = 1
    try:
        os.setsid()
        os.chdir(request["folder"])
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(output, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        is_module, *rest = request["arguments"] if request["arguments"][0] == "-m" else ("", *request["arguments"])
        sys.argv = list(rest)
        sys.path.insert(0, request["folder"])
        if is_module:
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(rest[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        import atexit

        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Serve requests until standard input ends."""
    for name in IMPORTS:
        __import__(name)
    answers, running = os.dup(1), set[int]()
    while True:
        if select.select([0], [], [], 0.02)[0]:
            line = bytearray()
            while not line.endswith(b"\n"):
                if not (byte := os.read(0, 1)):  # the battery has ended
                    for pid in running:
                        with suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
                    return
                line += byte
            if not (pid := os.fork()):
                _be_command(json.loads(line))
            running.add(pid)
            os.write(answers, json.dumps({"pid": pid}).encode() + b"\n")
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.discard(pid)
                os.write(answers, json.dumps({"pid": pid, "status": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


if __name__ == "__main__":
    main()
