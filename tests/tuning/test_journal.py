"""The journal survives a process that is killed while it writes, and says what is wrong if it cannot."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

from lacuna.errors import ConfigError, DataError
from lacuna.tuning import Place
from lacuna.tuning.place import open_database, open_journal, shown


def begun(path: Path, number: int = 3) -> optuna.Study:
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    for at in range(number):
        study.set_user_attr(f"a{at}", at)
    return study


def attributes(path: Path) -> dict[str, object]:
    return dict(optuna.load_study(study_name="s", storage=open_journal(path)).user_attrs)


def test_a_last_line_torn_at_any_byte_is_cut_off_and_writing_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = tmp_path / "whole.journal"
    begun(whole)
    content = whole.read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    for cut in range(start, len(content)):
        path = tmp_path / f"torn-{cut}.journal"
        path.write_bytes(content[:cut])
        assert attributes(path) == {"a0": 0, "a1": 1}  # a half line never counted
        optuna.load_study(study_name="s", storage=open_journal(path)).set_user_attr("after", cut)
        assert attributes(path) == {"a0": 0, "a1": 1, "after": cut}
        assert all(json.loads(line) for line in path.read_text().splitlines())
    assert "half written" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_writers_lose_nothing_that_was_written_and_block_nobody(tmp_path: Path) -> None:
    """Optuna's own lock would make everyone wait for half a minute after each kill."""
    path, rng = tmp_path / "k.journal", random.Random(0)
    begun(path, 0)
    started = time.monotonic()
    for attempt in range(12):
        read, write = os.pipe()
        if not (pid := os.fork()):
            try:
                os.close(read)
                study = optuna.load_study(study_name="s", storage=open_journal(path))
                for at in range(10_000):
                    study.set_user_attr(f"{attempt}-{at}", "x" * 2000)
                    os.write(write, b".")  # acknowledged
            finally:
                os._exit(1)
        os.close(write)
        os.read(read, 1)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        acknowledged = 1
        while part := os.read(read, 4096):
            acknowledged += len(part)
        os.close(read)
        own = [name for name in attributes(path) if name.startswith(f"{attempt}-")]
        assert len(own) in (acknowledged, acknowledged + 1)  # the last one may have been written and not yet told
    assert time.monotonic() - started < 25


def test_a_journal_damaged_in_its_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.journal"
    begun(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{half", *lines[1:]]) + "\n")
    with pytest.raises(DataError, match=r"journal of the study is damaged\n  where: corpus 'd.journal'(.|\n)*do: restore it"):
        open_journal(path)


def test_a_database_is_used_with_heartbeats(tmp_path: Path) -> None:
    storage = Place(tmp_path / "studies" / "mlp", "mlp", f"sqlite:///{tmp_path}/studies.db").open()
    assert isinstance(storage, RDBStorage)
    assert storage.get_heartbeat_interval() == 30


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    missing = r"driver of postgresql://me:\*\*\*@host/base is not installed(.|\n)*pip install psycopg2"
    with pytest.raises(ConfigError, match=missing) as told:
        open_database("postgresql://me:secret@host/base")
    assert "secret" not in str(told.value)
    with pytest.raises(ConfigError, match="no database that SQLAlchemy knows"):
        open_database("nonsense")
    with pytest.raises(ConfigError, match="no database that SQLAlchemy knows"):
        open_database("oraculum://me:secret@host/base")
    with pytest.raises(ConfigError, match="does not answer"):
        open_database(f"sqlite:///{tmp_path}/no/such/folder/a.db")
    assert shown("postgresql://me:secret@host/base") == "postgresql://me:***@host/base"
