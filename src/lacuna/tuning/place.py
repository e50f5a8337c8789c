"""Where a study lives: a storage that Optuna reads, and a folder for what its workers need beside it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from lacuna.errors import ConfigError, DataError

HEARTBEAT, GRACE = 30, 120  # seconds; of databases, where owners may be on machines that cannot be asked
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a study lives.

    Attributes:
        folder: of the workers' locks, logs and checkpoints; for a journal it lies beside it, so that every machine that sees the
            one sees the other.
        name: of the study, one of several in a database.
        storage: a URL as SQLAlchemy knows them; empty = a journal beside the folder, ``<folder>.journal``.
    """

    folder: Path
    name: str
    storage: str = ""

    @property
    def journal(self) -> Path | None:
        """The journal's file, if it is one."""
        return None if self.storage else self.folder.with_name(self.folder.name + ".journal")

    def __str__(self) -> str:
        """The storage without a password."""
        return str(self.journal) if self.journal else shown(self.storage)

    def open(self) -> BaseStorage:
        """The storage; made if needed.

        Raises:
            ConfigError: the database or its driver is not there.
            DataError: the journal is damaged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return open_database(self.storage) if self.journal is None else open_journal(self.journal)


class TailLock(JournalFileOpenLock):
    """Locks a journal by ``flock`` on the file itself, and cuts off a last line that a killed process left half written.

    Optuna's own locks are files that outlive a killed owner, and everyone then waits for half a minute. This one goes with it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path, self._handle = path, -1

    def acquire(self) -> bool:
        """Wait for the lock; with it in hand, nobody else is writing, so a line without an end has no writer any more."""
        import fcntl

        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                whole = _whole(handle, size)
                _log.warning("%s: cut off %d bytes that a killed process left half written", self._path, size - whole)
                os.ftruncate(handle, whole)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def release(self) -> None:
        """Let go."""
        handle, self._handle = self._handle, -1
        os.close(handle)


def _whole(handle: int, size: int, block: int = 4096) -> int:
    """Where the last whole line of a file ends."""
    while size:
        start = max(0, size - block)
        end = os.pread(handle, size - start, start).rfind(b"\n")
        if end >= 0:
            return start + end + 1
        size = start
    return 0


def open_journal(path: Path) -> JournalStorage:
    """A journal on a file that many processes may write to.

    Raises:
        DataError: a line in its middle is no JSON.
    """
    lock = TailLock(path) if os.name == "posix" else JournalFileOpenLock(str(path))
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the journal of the study is damaged",
            corpus=path.name,
            expected="a line of JSON an operation",
            found=f"{type(error).__name__}: {error}",
            hint="restore it from a copy, or move it away to begin anew",
        ) from None


def open_database(url: str) -> RDBStorage:
    """A database, with heartbeats, since its workers may be on any machine.

    Raises:
        ConfigError: an address that is none, a driver that is not installed, or no answer; the message holds no password.
    """
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        return RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=GRACE)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            f"tune.storage is no database that SQLAlchemy knows: {shown(url)}\n  found: {error}\n"
            "  do: write e.g. postgresql://user@host/base or sqlite:///studies.db; empty = a journal in a file"
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"the driver of {shown(url)} is not installed\n  found: {str(error.__cause__ or error).splitlines()[0]}\n"
            "  do: install it, e.g. pip install psycopg2-binary for postgresql://, PyMySQL for mysql+pymysql://"
        ) from None
    except (SQLAlchemyError, OSError) as error:
        raise ConfigError(f"{shown(url)} does not answer\n  found: {str(error).splitlines()[0]}") from None


def shown(url: str) -> str:
    """An address without its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(an address that cannot be read)" if "@" in url else url
