"""What one worker process does: run trials until the study has enough of them."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
import time
import warnings
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from lacuna.corpus import open_corpus
from lacuna.errors import BusyError, TrainingError
from lacuna.models import configure
from lacuna.training import Recipe
from lacuna.training.selection import metric_name
from lacuna.tuning.objective import base_recipe, value_of, watcher
from lacuna.tuning.storage import MISSED, Place
from lacuna.tuning.study import REASON, WORKER, Count, StudyConfig, draw, pruner, sampler

PAUSE = 0.5  # seconds between two looks at a study whose last trials run elsewhere


def work(config: StudyConfig, place: Place, corpus: Path, log: Path) -> None:
    """Be a worker process: run trials, write everything to a log, and end when the parent process ends.

    Args:
        config: what the study does.
        place: where it is stored.
        corpus: folder of the corpus, without a test split.
        log: file to append to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers, so that their trials are tried again
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s", force=True)
    run_trials(config, base_recipe(open_corpus(corpus), config), place)


def run_trials(config: StudyConfig, base: Recipe, place: Place) -> None:
    """Run trials until enough are finished, or too many have raised an error.

    A trial begins only if the running ones are too few to reach ``config.trials``. Otherwise the worker waits, because a
    running trial may still fail. Two workers that look at the same moment may both begin the last trial.

    Args:
        config: what the study does.
        base: what all trials train on.
        place: where the study is stored.
    """
    quiet_optuna()
    storage = place.open()
    study = optuna.load_study(study_name=place.name, storage=storage, pruner=pruner(config))
    metric = metric_name(base.schema.target)
    code = base.code(configure(config.model, **config.settings))

    def objective(trial: optuna.Trial) -> float:
        storage.record_heartbeat(trial._trial_id)  # before the attribute: see fail_dead_trials
        trial.set_user_attr(WORKER, {"trial": trial.number, "host": socket.gethostname(), "pid": os.getpid()})
        trial.set_user_attr("code", code)
        parameters = {name: draw(trial, name, dim) for name, dim in config.space.items()}
        checkpoints = _checkpoints(place, study.get_trials(deepcopy=False)[trial.number])
        try:
            try:
                value, facts = value_of(config, base, parameters, checkpoints, watcher(trial, metric))
            except BusyError:  # a suspended worker, which counts as dead, still has the checkpoints open
                value, facts = value_of(config, base, parameters, None, watcher(trial, metric))
            if not math.isfinite(value):
                raise TrainingError(f"the area under the validation curve is {value}")
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(REASON, f"{type(error).__name__}: {error}"[:2000])
            raise
        trial.set_user_attr("facts", facts)
        return value

    def remove_checkpoints(_study: optuna.Study, trial: FrozenTrial) -> None:
        shutil.rmtree(_checkpoints(place, trial), ignore_errors=True)

    while True:
        fail_dead_trials(study, storage, MISSED * place.heartbeat)
        if (count := Count.of(study)).over(config):
            return
        if count.finished + count.running >= config.trials:
            time.sleep(PAUSE)
            continue
        study.sampler = sampler(config, len(study.get_trials(deepcopy=False)))
        study.optimize(objective, n_trials=1, catch=(Exception,), callbacks=[remove_checkpoints])


def fail_dead_trials(study: optuna.Study, storage: RDBStorage, grace: float) -> None:
    """Fail the running trials whose worker gives no heartbeat any more, and queue their parameters again.

    Optuna's own check does not see a trial whose worker died between taking it and its first heartbeat. Such a trial does not
    name its worker yet (a trial that is tried again holds the name that its first attempt stored, with another number).

    Args:
        study: any.
        storage: of the study.
        grace: seconds after which a trial without a heartbeat counts as dead.
    """
    fail_stale_trials(study)
    latest_start = datetime.now() - timedelta(seconds=grace)
    for trial in study.get_trials(deepcopy=True, states=(TrialState.RUNNING,)):
        started = trial.user_attrs.get(WORKER, {}).get("trial") == trial.number
        if started or trial.datetime_start is None or trial.datetime_start > latest_start:
            continue
        with suppress(UpdateFinishedTrialError):  # another worker was faster
            storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
            if (retry := storage.get_heartbeat_stale_trial_callback()) is not None:
                retry(study, trial)


def first_attempt(trial: FrozenTrial) -> int:
    """Return the number of the trial that first had these parameters."""
    number = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if number is None else number


def quiet_optuna() -> None:
    """Show no messages of Optuna below a warning, nor its notes that heartbeats are experimental."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    warnings.simplefilter("ignore", ExperimentalWarning)


def _checkpoints(place: Place, trial: FrozenTrial) -> Path:
    """Return the folder of a trial's checkpoints; another attempt at the same parameters continues from them."""
    return place.folder / "trials" / str(first_attempt(trial))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # returns when the parent process has ended, also after SIGKILL
    os._exit(3)
