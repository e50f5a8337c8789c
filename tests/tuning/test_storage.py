"""The database of a study: dead trials are queued again, no trial is taken twice, and errors hold no password."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import text

from lacuna.errors import ConfigError
from lacuna.tuning import Place, StudyConfig, trials_table
from lacuna.tuning.storage import ATTEMPTS, open_database, without_password
from lacuna.tuning.study import open_study
from lacuna.tuning.worker import WORKER, fail_dead_trials

Make = Callable[..., StudyConfig]


def age(storage: RDBStorage) -> None:
    """Let everything that is stored have happened long ago."""
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'"))
        connection.execute(text("UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000' WHERE state = 'RUNNING'"))


def begin(study: optuna.Study, storage: RDBStorage) -> optuna.Trial:
    """Take a trial as a worker does."""
    trial = study.ask()
    storage.record_heartbeat(trial._trial_id)
    trial.set_user_attr(WORKER, {"trial": trial.number})
    trial.suggest_float("x", 0, 1)
    return trial


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
@pytest.mark.parametrize("heartbeat", [True, False], ids=["after", "before"])
def test_a_trial_whose_worker_died_before_or_after_its_first_heartbeat_is_tried_again(place: Place, heartbeat: bool) -> None:
    storage = place.open()
    study = optuna.create_study(storage=storage)
    alive = begin(study, storage)
    first = begin(study, storage)
    for attempt in range(1, ATTEMPTS + 1):
        age(storage)
        storage.record_heartbeat(alive._trial_id)
        fail_dead_trials(study, storage, grace=60)
        fail_dead_trials(study, storage, grace=60)
        waiting = study.get_trials(states=(TrialState.WAITING,))
        assert len(waiting) == (attempt < ATTEMPTS)
        if waiting:
            trial = begin(study, storage) if heartbeat else study.ask()
            assert trial.params == first.params
    table = trials_table(study)
    assert table["state"].tolist() == ["running"] + ["fail"] * ATTEMPTS
    assert table["root"].tolist() == [0] + [1] * ATTEMPTS
    assert table["attempt"].tolist() == [1, *range(1, ATTEMPTS + 1)]
    assert table["reason"].iloc[-1] == f"the worker died; given up after {ATTEMPTS} attempts"


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_no_queued_trial_of_a_sqlite_database_is_taken_twice(place: Place) -> None:
    """Optuna alone lets two workers take the same one, because SQLite has no row locks."""
    study = optuna.create_study(storage=place.open(), study_name="s")
    for number in range(40):
        study.enqueue_trial({"x": number})
    together = Barrier(4)

    def take(_: int) -> list[int]:
        own = optuna.load_study(storage=place.open(), study_name="s")
        together.wait()
        return [own.ask().number for _ in range(10)]

    with ThreadPoolExecutor(4) as threads:
        taken = [number for numbers in threads.map(take, range(4)) for number in numbers]
    assert sorted(taken) == list(range(40))


def test_workers_that_start_together_may_all_create_the_database(tmp_path: Path) -> None:
    together = Barrier(8)

    def create(_: int) -> bool:
        together.wait()
        return bool(open_database(f"sqlite:///{tmp_path}/studies.db"))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(create, range(8)))


def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    for url, found in (
        ("postgresql+nodriver://me:secret@host/base", "nodriver"),
        ("nonsense", "Could not parse"),
        (f"sqlite:///{tmp_path}/missing/studies.db", "unable to open database file"),
    ):
        with pytest.raises(ConfigError, match=rf"cannot be opened(.|\n)*{found}(.|\n)*tune.storage") as error:
            open_database(url)
        assert "secret" not in str(error.value)
    assert without_password("postgresql://me:secret@host/base") == "postgresql://me:***@host/base"
    assert without_password("me:secret@") == "(a URL that cannot be read)"
    assert "secret" not in str(Place(tmp_path, "s", "postgresql://me:secret@host/base"))


@pytest.mark.parametrize("value", ["[1]", "{"])
def test_an_edited_database_is_refused(place: Place, make: Make, value: str) -> None:
    open_study(make(), place, {"train": "a"})
    with place.open().engine.begin() as connection:
        connection.execute(text("UPDATE study_user_attributes SET value_json = :value"), {"value": value})
    with pytest.raises(ConfigError, match=r"cannot be read(.|\n)*do: restore the database"):
        open_study(make(), place, {"train": "a"})


def test_a_database_that_is_none_is_refused(place: Place, make: Make) -> None:
    place.folder.parent.mkdir(parents=True)
    Path(f"{place.folder}.db").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="database of the study cannot be opened"):
        open_study(make(), place, {"train": "a"})
