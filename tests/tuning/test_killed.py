"""Workers that are killed with SIGKILL: every result is kept, nothing is done twice, the count is exact."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lacuna.corpus import Corpus
from lacuna.errors import LacunaError, TrainingError
from lacuna.tuning import Place, StudyConfig, run_study, states, supervisor, trials_table, worker
from lacuna.tuning.objective import Data
from lacuna.tuning.owners import Owner, claiming, living
from lacuna.tuning.study import open_study
from lacuna.tuning.supervisor import judge
from lacuna.tuning.trials import Count, take


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_one_of_two_workers_is_killed_three_times(tmp_path: Path) -> None:
    scenario = {"folder": str(tmp_path), "trials": 12, "kills": 3, "seed": 0}
    script = Path(__file__).with_name("killing.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(scenario)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["raised"] == []
    assert (verdict["kills"], verdict["finished"]) == (3, 12)
    assert verdict["died"] >= 1  # a kill between two trials costs none
    assert (verdict["lost"], verdict["twice"], verdict["left"], verdict["locks"]) == (0, 0, 0, 0)
    assert verdict["retried"] == verdict["died"] <= 3


def test_a_dead_worker_is_replaced_and_the_study_goes_on_later(corpus: Corpus, make: Any, place: Place) -> None:
    """With real processes: one is killed as soon as it lives; then the same command asks for more trials."""
    killed: list[int] = []

    def kill() -> None:
        while not killed and not stop.wait(0.05):
            for one in living(place.folder)[:1] if place.folder.is_dir() else []:
                os.kill(one["pid"], signal.SIGKILL)
                killed.append(one["pid"])

    stop = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        study = run_study(make("linear", trials=3, workers=1, restarts=1), corpus.only("train", "valid"), place)
    finally:
        stop.set()
        thread.join()
    assert killed
    assert Count.of(study).finished == 3
    before = {t.number: t.value for t in study.get_trials() if t.value is not None}
    assert not (place.folder / "trials").exists()

    started = time.monotonic()
    again = run_study(make("linear", trials=3, workers=1), corpus.only("train", "valid"), place)
    assert time.monotonic() - started < 5  # there is nothing to do: no worker is started
    assert {t.number: t.value for t in again.get_trials() if t.value is not None} == before


def test_a_trial_that_raises_is_recorded_and_the_study_goes_on(data: Data, make: Any, place: Place, monkeypatch: Any) -> None:
    config, value_of, calls = make("linear", trials=3), worker.value_of, []

    def sometimes(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("the cat sat\non the keyboard")
        return value_of(*arguments)

    monkeypatch.setattr(worker, "value_of", sometimes)
    worker.work(config, data, place, {})
    study = open_study(config, place, {})
    table = trials_table(study)
    assert states(study) == {"complete": 3, "pruned": 0, "fail": 1, "running": 0, "waiting": 0}
    assert table["reason"].tolist()[1] == "ValueError: the cat sat\non the keyboard"
    assert table["kind"].tolist()[1] == "raised"
    judge(study, config)


def test_a_study_in_which_every_trial_fails_ends_with_the_first_reason(
    data: Data, make: Any, place: Place, monkeypatch: Any
) -> None:
    config = make("linear", trials=3, failures=4)
    monkeypatch.setattr(worker, "value_of", lambda *arguments: (float("nan"), {}))
    worker.work(config, data, place, {})
    study = open_study(config, place, {})
    assert states(study)["fail"] == 4
    told = r"has no result: 4 of its trials failed\n  first reason: TrainingError: the area under the validation curve is nan"
    with pytest.raises(TrainingError, match=told):
        judge(study, config)


def test_a_study_that_gave_up_goes_on_once_its_error_is_mended(
    corpus: Corpus, data: Data, make: Any, place: Place, monkeypatch: Any
) -> None:
    def inside(*arguments: Any) -> None:  # what the worker processes do
        job = json.loads((place.folder / worker.JOB).read_text("utf-8"))
        worker.work(StudyConfig.from_json(job["config"]), data, place, job["data"])

    def broken(told: str) -> Any:
        def value_of(*arguments: Any) -> Any:
            raise ValueError(told)

        return value_of

    monkeypatch.setattr(supervisor, "_supervise", inside)
    config, development = make("linear", trials=3, failures=2), corpus.only("train", "valid")
    for told in ("a dog barked", "the cat sat"):  # the second attempt tells its own reason
        monkeypatch.setattr(worker, "value_of", broken(told))
        with pytest.raises(TrainingError, match=f"2 of its trials failed\n  first reason: ValueError: {told}"):
            run_study(config, development, place)
    monkeypatch.setattr(worker, "value_of", lambda *arguments: (0.5, {}))
    study = run_study(config, development, place)
    assert states(study) == {"complete": 3, "pruned": 0, "fail": 4, "running": 0, "waiting": 0}


def test_a_database_serves_as_well(data: Data, make: Any, tmp_path: Path) -> None:
    place = Place(tmp_path / "studies" / "linear", "linear", f"sqlite:///{tmp_path}/studies.db")
    config = make("linear", trials=2)
    study = open_study(config, place, {})
    with claiming(place.folder):  # a worker of this machine that no longer lives
        assert take(study, config, place, Owner(socket.gethostname(), str(tmp_path / "worker-0-dead.lock"))) is not None
    worker.work(config, data, place, {})
    assert states(study) == {"complete": 2, "pruned": 0, "fail": 1, "running": 0, "waiting": 0}
    assert trials_table(study)["root"].tolist() == [0, 0, 2]


def test_an_error_that_every_worker_would_meet_stops_the_study_at_once(
    corpus: Corpus, make: Any, place: Place, monkeypatch: Any
) -> None:
    monkeypatch.setattr("lacuna.tuning.supervisor.put_corpus", lambda *arguments: None)  # workers find no corpus
    with pytest.raises(LacunaError, match=r"study 'mlp' cannot go on\n  (.|\n)*corpus"):
        run_study(make("linear", workers=1, restarts=5), corpus.only("train", "valid"), place)
