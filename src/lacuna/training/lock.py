"""A lock that lets one process at a time use a run folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lacuna.errors import BusyError, TrainingError

LOCK = "lock"
_log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which is created if needed. The system releases it when the process ends, also by SIGKILL.

    Raises:
        BusyError: another process holds it.
        TrainingError: the folder cannot be written to.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(path)
    except OSError as error:
        raise TrainingError(f"nothing can be written to {folder}\n  found: {error}\n  do: use another folder") from error
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # while it is still held: see _lock
            os.close(handle)


def _lock(path: Path) -> int | None:
    """Return the open, locked file; ``None`` on systems without file locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                break
        except FileNotFoundError:
            pass  # its owner ended and deleted it between the two calls above
        except BlockingIOError:
            owner = _owner(handle)
            os.close(handle)
            raise BusyError(
                f"another process trains in {path.parent}\n  found: {owner}\n"
                "  do: wait for it or stop it, then run again; the run resumes from its last checkpoint"
            ) from None
        except OSError as error:
            _log.warning("%s cannot be locked (%s): let no other process train in that folder", path, error)
            return handle
        os.close(handle)
    with suppress(OSError):  # on a full disk it holds without a name
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    return handle


def _owner(handle: int) -> str:
    """Return who holds a lock, for a message."""
    try:
        content = json.loads(os.read(handle, 4096))
        return f"process {content['pid']} on host {content['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not written its number yet"
