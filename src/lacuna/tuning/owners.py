"""Who runs a trial, and whether that process still lives: a lock that the system lifts with the process, even by SIGKILL."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacuna.errors import ConfigError

CLAIM = "claim.lock"


@dataclass(frozen=True)
class Owner:
    """A living worker.

    Attributes:
        host: its machine.
        lock: its lock file: a name in the study's folder, or a whole path where others may have another folder.
    """

    host: str
    lock: str

    def to_json(self) -> dict[str, str]:
        """As a trial's attribute."""
        return {"host": self.host, "lock": self.lock}


@contextmanager
def owning(folder: Path, *, whole: bool) -> Iterator[Owner]:
    """Be a worker: hold a lock file of one's own for as long as the process lives.

    Args:
        folder: of the study.
        whole: name the file by its whole path.

    Raises:
        ConfigError: this system has no such locks.
    """
    name = f"worker-{os.getpid()}-{secrets.token_hex(4)}.lock"
    handle = _locked(folder / name)
    os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    try:
        yield Owner(socket.gethostname(), str((folder / name).absolute()) if whole else name)
    finally:
        (folder / name).unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def claiming(folder: Path) -> Iterator[None]:
    """Be the only one on this study (of this machine, for a database) who takes, gives up or buries trials."""
    handle = _locked(folder / CLAIM)
    try:
        yield
    finally:
        os.close(handle)


def lives(folder: Path, owner: Any) -> bool:
    """Whether the worker that an attribute names still holds its lock; its file is swept away if not."""
    path = folder / str(owner["lock"])
    import fcntl

    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look at once do not take each other for the owner
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def living(folder: Path) -> list[dict[str, Any]]:
    """Process and host of each worker of the folder that lives."""
    found = []
    for path in sorted(folder.glob("worker-*.lock")):
        with suppress(OSError, ValueError):
            content = json.loads(path.read_text("utf-8"))
            if lives(folder, {"lock": path.name}):
                found.append(content)
    return found


def _locked(path: Path) -> int:
    try:
        import fcntl
    except ImportError as error:  # Windows
        raise ConfigError("studies need a system with file locks (Linux, macOS, WSL)") from error
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle
