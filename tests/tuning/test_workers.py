"""Workers that are killed or raise errors: no result is lost or counted twice, and the number of trials is right."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_one_of_two_workers_is_killed_three_times(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path), "12", "3"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert 12 <= verdict["finished"] <= 13  # both workers may begin the last trial
    assert (verdict["lost"], verdict["twice"], verdict["raised"]) == (0, 0, [])
    assert 1 <= len(verdict["died"]) <= 3  # a trial may end before the signal arrives
    assert verdict["tried_again"] == verdict["died"]
    assert verdict["same_parameters"]
    assert verdict["warm"] == "complete"


def test_a_killed_worker_is_replaced_and_its_trial_continues_from_its_checkpoint(
    corpus: Corpus, make: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real processes and one trial: it is killed in the middle, and nothing else is run in its place."""
    epochs = 300
    config, trained = make(training={"epochs": epochs, "patience": 0}, trials=1, workers=1), []
    over = threading.Event()

    def kill() -> None:
        while not multiprocessing.active_children() and not over.is_set():
            time.sleep(0.05)
        study = optuna.load_study(study_name=place.name, storage=place.open())
        while not over.wait(0.05):
            trial = study.get_trials(deepcopy=False)[0]
            if len(trial.intermediate_values) >= 3 and trial.state == TrialState.RUNNING:
                trained.append(len(trial.intermediate_values))
                os.kill(trial.user_attrs["worker"]["pid"], signal.SIGKILL)
                return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        study = run_study(config, corpus.only("train", "valid"), place)
    finally:
        over.set()
        thread.join()
    assert trained
    assert trained[0] < epochs
    table = trials_table(study)
    assert table["state"].tolist() == ["fail", "complete"]
    assert table["reason"].tolist() == ["the worker died", ""]
    assert table["warm"].all()  # the variant's own settings again
    assert table["epochs"].iloc[1] == epochs  # those before the checkpoint are reported again
    log = (place.folder / "worker-0.log").read_text("utf-8")
    assert log.count(f"epoch 1 of {epochs}") == log.count(f"epoch {epochs} of {epochs}") == 1  # no epoch was trained again
    assert not (place.folder / "trials").exists()
    monkeypatch.setattr(run, "_supervise", lambda *arguments: pytest.fail("there is nothing to do"))
    assert len(run_study(config, corpus.only("train", "valid"), place).get_trials()) == 2


PARENT = """
import sys, time
from multiprocessing import get_context
from pathlib import Path
from lacuna.tuning.worker import _end_with_parent

def child(path):
    import os, threading
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    get_context("spawn").Process(target=child, args=(sys.argv[1],)).start()
    time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, "utf-8")
    started = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(started)])
    try:
        deadline = time.monotonic() + 120
        while not started.is_file() or not started.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    worker_pid = int(started.read_text())
    deadline = time.monotonic() + 20
    while _lives(worker_pid):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.is_file() and "State:\tZ" in status.read_text())  # ended, and not collected yet


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
