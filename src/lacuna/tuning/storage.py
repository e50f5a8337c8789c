"""Where a study is stored: a database that Optuna reads and writes, and a folder for the files of its workers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

from lacuna.errors import ConfigError

HEARTBEAT = 20  # seconds between two signs of life of a worker
MISSED = 3  # a worker is considered dead after this many heartbeats without a sign of life
CREATIONS = 5  # attempts to create the tables of a database while other workers create them too
ATTEMPTS = 8  # parameters whose worker died this many times are not tried again


def studies_of(checkpoints: Path) -> Path:
    """Return the folder of the studies of a run, which is beside that of its checkpoints."""
    return checkpoints.with_name("studies")


@dataclass(frozen=True)
class Place:
    """Where a study is stored.

    Attributes:
        folder: of the logs, the checkpoints and the copy of the corpus that the workers read.
        name: of the study; a database may hold several.
        storage: URL of a database in the form of SQLAlchemy; empty = the SQLite file ``<folder>.db``.
        heartbeat: seconds between two signs of life of a worker; after three times this a silent worker counts as dead.
    """

    folder: Path
    name: str
    storage: str = ""
    heartbeat: int = HEARTBEAT

    @property
    def url(self) -> str:
        """Return the URL of the database, with its password."""
        return self.storage or f"sqlite:///{self.folder.absolute()}.db"

    def __str__(self) -> str:
        """Return the URL without its password."""
        return without_password(self.url)

    def open(self) -> RDBStorage:
        """Open the database, and create it if it is missing; raises as :func:`open_database`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return open_database(self.url, self.heartbeat)


def open_database(url: str, heartbeat: int = HEARTBEAT) -> RDBStorage:
    """Open a database in which running trials give heartbeats; a trial that misses three is failed and queued again.

    Args:
        url: in the form of SQLAlchemy.
        heartbeat: seconds between two heartbeats.

    Raises:
        ConfigError: an invalid URL, a driver that is not installed, or no answer. The message does not hold the password.
    """
    from sqlalchemy.exc import SQLAlchemyError

    for attempt in range(CREATIONS):
        try:
            storage = RDBStorage(
                url,
                engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                grace_period=MISSED * heartbeat,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=ATTEMPTS - 1),
            )
            break
        except (SQLAlchemyError, ImportError, OSError) as error:
            if _made_elsewhere(error) and attempt < CREATIONS - 1:
                time.sleep(0.2 * (attempt + 1))
                continue
            raise ConfigError(
                f"the database of the study cannot be opened: {without_password(url)}\n"
                f"  found: {str(error.__cause__ or error).splitlines()[0]}\n"
                "  do: set tune.storage to a URL such as postgresql://user@host/base (its driver: the extra `cluster`) or"
                " sqlite:///studies.db; null = a SQLite file in tune.folder"
            ) from None
    if storage.engine.dialect.name == "sqlite":
        _lock_whole_transactions(storage.engine)
    return storage


def _made_elsewhere(error: Exception) -> bool:
    """Return whether another worker created the same table meanwhile: Optuna looks for the tables before it creates them."""
    message = str(error)
    return "already exists" in message or "duplicate key" in message or "UNIQUE constraint failed" in message


def without_password(url: str) -> str:
    """Return a URL with its password replaced by asterisks."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(a URL that cannot be read)" if "@" in url else url


def _lock_whole_transactions(engine: Any) -> None:
    """Let every transaction of SQLite take the write lock when it begins.

    Optuna reads a trial's state and then writes it. Other databases lock the row in between. SQLite ignores that request, so
    without this two workers may take the same queued trial, or both queue the same parameters again.
    """
    from sqlalchemy import event

    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # connections that were opened before do not know of this
