"""A study in a PostgreSQL server: workers are killed at random moments, and no finished trial is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.tuning import Place, run_study, trials_table
from lacuna.tuning.storage import open_database

pytestmark = pytest.mark.slow
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
KILLS = 3


def _programs() -> Path | None:
    """Return the folder of the programs of PostgreSQL, which Debian does not put on the path."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return Path(on_path).parent if on_path else next((path for path in folders if (path / "initdb").is_file()), None)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty database of a server that the tests own; it answers on a local socket only."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="the driver is not installed: pip install -e '.[cluster]'")
    folder = Path(tempfile.mkdtemp(prefix="lacuna-postgresql-"))
    user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("setpriv") is None:
            pytest.skip("the server cannot run as root, and setpriv is not installed")
        shutil.chown(folder, "postgres", "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]

    def call(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=240)

    data = str(folder / "data")
    try:
        call("initdb", "--pgdata", data, "--username", "lacuna", "--auth", "trust", "--no-sync", "--encoding", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        call("pg_ctl", "--pgdata", data, "--options", options, "--log", str(folder / "log"), "--wait", "start")
        try:
            yield f"postgresql://lacuna@/postgres?host={folder}"
        finally:
            call("pg_ctl", "--pgdata", data, "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_workers_that_start_together_may_all_create_the_tables(database: str) -> None:
    together = threading.Barrier(4)

    def create(_: int) -> bool:
        together.wait()
        return bool(open_database(database))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(create, range(4)))


@pytest.mark.timeout(1800)  # a minute on an idle machine
def test_workers_that_are_killed_at_random_lose_no_finished_trial(
    corpus: Corpus, make: Any, tmp_path: Path, database: str
) -> None:
    config = make(training={"epochs": 40, "patience": 0}, trials=6, workers=2, restarts=2 * KILLS)
    place = Place(tmp_path / "studies" / "mlp", "mlp", database, heartbeat=1)
    over, draws = threading.Event(), random.Random(0)
    killed: list[int] = []
    finished_before: dict[int, Any] = {}

    def kill() -> None:
        storage, study = place.open(), None
        while study is None and not over.wait(0.05):  # the other thread creates the study
            with suppress(KeyError):
                study = optuna.load_study(study_name=place.name, storage=storage)
        while study is not None and len(killed) < KILLS and not over.wait(draws.uniform(0.1, 1.0)):
            alive = {process.pid for process in multiprocessing.active_children()}
            trials = study.get_trials(deepcopy=False)
            running = {t.user_attrs.get("worker", {}).get("pid") for t in trials if t.state == TrialState.RUNNING}
            if victims := sorted(running & alive - {None, *killed}):
                finished_before.update({t.number: (t.state, t.value) for t in trials if t.state in FINISHED})
                killed.append(draws.choice(victims))
                os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    begun = time.monotonic()
    try:
        study = run_study(config, corpus.only("train", "valid"), place)
    finally:
        over.set()
        thread.join()
    trials, table = study.get_trials(), trials_table(study)
    assert len(killed) == KILLS, f"the study ended after {time.monotonic() - begun:.0f} s"
    assert finished_before.items() <= {t.number: (t.state, t.value) for t in trials}.items()
    finished = table[table["state"].isin(["complete", "pruned"])]
    assert config.trials <= len(finished) < config.trials + config.workers  # both may begin the last trial
    assert not finished["root"].duplicated().any()  # no parameters are finished twice
    assert (table["kind"] == "died").sum() >= KILLS
    assert not (table["kind"] == "raised").any()


def test_a_server_that_does_not_answer_is_named_without_its_password(database: str) -> None:
    url = database.replace("lacuna@", "lacuna:secret@").replace("host=", "host=/nowhere")
    with pytest.raises(ConfigError, match="database of the study cannot be opened") as error:
        open_database(url)
    assert "secret" not in str(error.value)
