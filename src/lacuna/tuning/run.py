"""Start the workers of a study, replace those that die, and wait until the study has its trials."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import optuna
from optuna.trial import TrialState

from lacuna.corpus import Corpus
from lacuna.errors import TrainingError
from lacuna.tuning.objective import base_recipe, digests, put_corpus
from lacuna.tuning.storage import MISSED, Place
from lacuna.tuning.study import REASON, Count, StudyConfig, open_study
from lacuna.tuning.worker import fail_dead_trials, quiet_optuna, run_trials, work

LOOK = 1.0  # seconds between two looks at the workers
_log = logging.getLogger(__name__)


def run_study(config: StudyConfig, corpus: Corpus, place: Place) -> optuna.Study:
    """Run a study to its end, from wherever it stands; after an interruption the same call continues it.

    It stops early after ``config.failures`` trials that raised an error since this call. Errors of earlier calls do not count,
    because they may have been fixed.

    Args:
        config: what the study does.
        corpus: the splits ``train`` and ``valid``, and no other.
        place: where it is stored.

    Returns:
        The study, with at least ``config.trials`` finished trials unless it stopped early.

    Raises:
        ConfigError: the study scores its trials in another way, or the database cannot be used.
        DataError: the corpus holds a test utterance.
        TrainingError: every trial failed, or too many workers died.
    """
    quiet_optuna()
    data = digests(base_recipe(corpus, config))
    study = open_study(config, place, data)
    before = Count.of(study)
    config = replace(config, failures=config.failures + before.raised)
    if not before.over(config):
        if before.finished:
            _log.info("study '%s' continues with %d of %d finished trials", place.name, before.finished, config.trials)
        if config.workers:
            _supervise(study, config, place, put_corpus(corpus, place.folder, data))
        else:
            run_trials(config, base_recipe(corpus, config), place)
    fail_dead_trials(study, place.open(), MISSED * place.heartbeat)
    if not study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
        shutil.rmtree(place.folder / "trials", ignore_errors=True)
    check_result(study, config, before.raised)
    return study


def _supervise(study: optuna.Study, config: StudyConfig, place: Place, corpus: Path) -> None:
    """Keep the workers running until all of them have ended by themselves."""
    context = multiprocessing.get_context("spawn")

    def start(number: int) -> multiprocessing.process.BaseProcess:
        log = place.folder / f"worker-{number}.log"
        process = context.Process(target=work, args=(config, place, corpus, log), name=log.name)
        process.start()
        return process

    missing = config.trials - Count.of(study).finished
    workers = {number: start(number) for number in range(min(config.workers, missing))}
    deaths = finished = 0
    try:
        while workers:
            wait([worker.sentinel for worker in workers.values()], timeout=LOOK)
            if (count := Count.of(study)).finished != finished:
                finished = count.finished
                _log.info("study '%s': %d of %d trials finished", place.name, finished, config.trials)
            for number, worker in list(workers.items()):
                if worker.exitcode is None:
                    continue
                del workers[number]
                if worker.exitcode == 0 or count.over(config):
                    continue
                deaths += 1
                _log.warning("worker %d ended with exit code %d (%d of %d)", number, worker.exitcode, deaths, config.restarts)
                if deaths > config.restarts:
                    raise TrainingError(
                        f"workers of study '{place.name}' died {deaths} times (tune.restarts)\n"
                        f"  found: exit code {worker.exitcode}\n"
                        f"  do: read {place.folder / worker.name}, then run again; finished trials are kept"
                    )
                workers[number] = start(number)
    finally:
        for worker in workers.values():
            worker.kill()
            worker.join()


def check_result(study: optuna.Study, config: StudyConfig, raised_before: int = 0) -> None:
    """Refuse a study without a completed trial, and log a warning if it stopped early.

    Args:
        study: at its end.
        config: what it does.
        raised_before: number of trials that had raised an error before this command; their reasons are not repeated.

    Raises:
        TrainingError: no trial was completed; the message quotes the first reason.
    """
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    reasons = [trial.user_attrs[REASON] for trial in failed if REASON in trial.user_attrs]
    reasons = reasons[raised_before:] or reasons
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise TrainingError(
            f"study '{study.study_name}' has no result: {len(reasons)} of its trials failed\n"
            f"  first reason: {reasons[0] if reasons else 'no trial was completed'}\n"
            "  do: fix the cause and run again, or start another study: tune.name=..."
        )
    if (count := Count.of(study)).finished < config.trials:
        _log.warning(
            "study '%s' stopped with %d of %d trials, because %d failed (tune.failures); the first reason: %s",
            study.study_name, count.finished, config.trials, len(reasons), reasons[0],
        )  # fmt: skip
