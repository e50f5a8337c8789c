"""Workers that are killed or raise errors: no result is lost or counted twice, and the number of trials is right."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, TrainingError
from lacuna.training import Recipe
from lacuna.tuning import Place, run, run_study, states, trials_table, worker
from lacuna.tuning.run import check_result
from lacuna.tuning.study import WARM, Count, open_study
from lacuna.tuning.worker import run_trials

pytestmark = pytest.mark.slow

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def _has_study(place: Place) -> bool:
    """Whether the other process has created database and study; opening it through Optuna would create the tables."""
    path = place.folder.with_name(f"{place.name}.db")
    if not path.is_file():
        return False
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
        return bool(connection.execute("select count(*) from trials").fetchone()[0])
    return False


def test_workers_are_killed_three_times(corpus: Corpus, make: Any, place: Place) -> None:
    """One of two real workers is killed in the middle of a trial, three times, first with the variant's own settings."""
    n_trials, epochs = 4, 60
    config = make(training={"epochs": epochs, "patience": 0}, trials=n_trials, startup=3)
    over, killed, finished_before = threading.Event(), set[int](), dict[int, Any]()

    def kill() -> None:
        while not multiprocessing.active_children() and not over.is_set():
            time.sleep(0.05)
        while not _has_study(place) and not over.wait(0.05):
            pass
        study = optuna.load_study(study_name=place.name, storage=place.open())
        while len(killed) < 3 and not over.wait(0.05):
            trials = study.get_trials(deepcopy=False)
            victim = next((t for t in trials if t.state == TrialState.RUNNING and 3 <= len(t.intermediate_values) < 40), None)
            if victim is not None and victim.number not in killed:
                finished_before.update({t.number: (t.state, t.value) for t in trials if t.state in FINISHED})
                killed.add(victim.number)
                os.kill(victim.user_attrs["worker"]["pid"], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        study = run_study(config, corpus.only("train", "valid"), place)
    finally:
        over.set()
        thread.join()
    trials, table = study.get_trials(), trials_table(study)
    assert len(killed) == 3
    assert 0 in killed
    assert finished_before.items() <= {t.number: (t.state, t.value) for t in trials}.items()  # no result is lost
    finished = table[table["state"].isin(["complete", "pruned"])]
    assert n_trials <= len(finished) < n_trials + config.workers  # both may begin the last trial
    assert not finished["root"].duplicated().any()  # no parameters are finished twice
    died = set(table.loc[table["kind"] == "died", "number"])
    assert killed <= died == set(table["retry_of"].dropna())  # a slow machine may miss heartbeats of living workers, too
    for number, first in table.loc[table["retry_of"].notna(), ["number", "retry_of"]].itertuples(index=False):
        assert trials[number].params == trials[first].params
    assert finished["warm"].sum() == 1
    logs = [path.read_text("utf-8") for path in place.folder.glob("worker-*.log")]
    assert sum(log.count(f"epoch 1 of {epochs}") for log in logs) == table["root"].nunique()  # attempts continue from checkpoints
    assert not (place.folder / "trials").exists()


PARENT = """
import os, sys, threading, time
from multiprocessing import get_context
from lacuna.tuning.worker import _end_with_parent

def child():
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    get_context("spawn").Process(target=child).start()
    time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, "utf-8")
    with subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid  # the child runs
        parent.kill()
        assert parent.stdout.read() == b""  # the pipe closes when the child has ended, too


def test_the_first_trial_has_the_variants_own_settings(base: Recipe, make: Any, place: Place) -> None:
    config = make("linear", trials=2)
    open_study(config, place, {})
    study = open_study(config, place, {})  # another command
    run_trials(config, base, place)
    trials = study.get_trials()
    assert [WARM in trial.user_attrs for trial in trials] == [True, False]
    assert trials[0].params == config.start
    assert states(study) == {"complete": 2, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}


def test_one_worker_draws_the_same_trials_after_a_restart(base: Recipe, make: Any, place: Place) -> None:
    parameters = []
    for name, steps in (("a", (4,)), ("b", (2, 4))):
        study_place = Place(place.folder, name, heartbeat=1)
        for trials in steps:
            study = open_study(make("linear", trials=trials), study_place, {})
            run_trials(make("linear", trials=trials), base, study_place)
        parameters.append([trial.params for trial in study.get_trials()])
    assert parameters[0] == parameters[1]
    assert len({str(drawn) for drawn in parameters[0]}) == 4


def test_trials_that_were_scored_in_another_way_are_not_mixed(make: Any, place: Place) -> None:
    open_study(make(), place, {"train": "a"})
    open_study(make(trials=100, workers=1, failures=3), place, {"train": "a"})  # these decide no value
    for changed, digests, message in (
        (make(rates=(0.0, 0.9)), {"train": "a"}, r"rates: \[0.0, 0.5\] there, \[0.0, 0.9\] here"),
        (make(training={"epochs": 5}), {"train": "a"}, "training.epochs: 2 there, 5 here"),
        (make(), {"train": "b"}, "data.train: 'a' there, 'b' here"),
    ):
        with pytest.raises(ConfigError, match=rf"scores its trials in another way(.|\n)*{message}(.|\n)*tune.name=..."):
            open_study(changed, place, digests)
    optuna.create_study(storage=place.open(), study_name="foreign").add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ConfigError, match="it was not created by Lacuna"):
        open_study(make(), Place(place.folder, "foreign"), {})


def test_a_trial_that_raises_is_recorded_and_the_study_continues(base: Recipe, make: Any, place: Place, monkeypatch: Any) -> None:
    config, value_of, calls = make("linear", trials=3), worker.value_of, []

    def sometimes(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("first line\nsecond line")
        return value_of(*arguments)

    monkeypatch.setattr(worker, "value_of", sometimes)
    study = open_study(config, place, {})
    run_trials(config, base, place)
    table = trials_table(study)
    assert states(study) == {"complete": 3, "pruned": 0, "fail": 1, "running": 0, "waiting": 0}
    assert (table["reason"].iloc[1], table["kind"].iloc[1]) == ("ValueError: first line\nsecond line", "raised")
    check_result(study, config)


def test_a_study_that_stopped_early_continues_once_its_error_is_fixed(
    corpus: Corpus, base: Recipe, make: Any, place: Place, monkeypatch: Any
) -> None:
    monkeypatch.setattr(run, "_supervise", lambda study, config, place, corpus: run_trials(config, base, place))
    config, development = make("linear", trials=3, failures=2), corpus.only("train", "valid")

    def broken(message: str) -> Any:
        def value_of(*arguments: Any) -> Any:
            raise ValueError(message)

        return value_of

    for message in ("first error", "second error"):  # the second command quotes its own reason
        monkeypatch.setattr(worker, "value_of", broken(message))
        with pytest.raises(TrainingError, match=f"2 of its trials failed\n  first reason: ValueError: {message}"):
            run_study(config, development, place)
    monkeypatch.setattr(worker, "value_of", lambda *arguments: (0.5, {}))
    study = run_study(config, development, place)
    assert states(study) == {"complete": 3, "pruned": 0, "fail": 4, "running": 0, "waiting": 0}
    assert any(t.state == TrialState.COMPLETE and WARM in t.user_attrs for t in study.get_trials())


def test_a_worker_that_was_given_up_cannot_store_its_result(base: Recipe, make: Any, place: Place, monkeypatch: Any) -> None:
    """It was suspended for longer than the heartbeat allows; it stops, and another worker runs the trial."""
    config = make("linear", trials=1)
    study = open_study(config, place, {})

    def slow(*arguments: Any) -> Any:
        study.tell(0, state=TrialState.FAIL)
        return 0.9, {}

    monkeypatch.setattr(worker, "value_of", slow)
    with pytest.raises(ValueError, match="Cannot tell a FAIL trial"):
        run_trials(config, base, place)
    assert study.get_trials()[0].state == TrialState.FAIL


def test_a_value_that_is_not_finite_is_an_error(base: Recipe, make: Any, place: Place, monkeypatch: Any) -> None:
    config = make("linear", failures=1)
    monkeypatch.setattr(worker, "value_of", lambda *arguments: (float("nan"), {}))
    study = open_study(config, place, {})
    run_trials(config, base, place)
    assert Count.of(study) == (0, 0, 1)
    assert trials_table(study)["reason"].tolist() == ["TrainingError: the area under the validation curve is nan"]


def test_workers_that_die_again_and_again_end_the_study(corpus: Corpus, make: Any, place: Place, monkeypatch: Any) -> None:
    monkeypatch.setattr(run, "put_corpus", lambda *arguments: place.folder / "missing")  # every worker stops at once
    with pytest.raises(TrainingError, match=r"died 1 times \(tune.restarts\)(.|\n)*worker-0.log"):
        run_study(make("linear", workers=1, restarts=0), corpus.only("train", "valid"), place)
    assert "missing" in (place.folder / "worker-0.log").read_text("utf-8")
