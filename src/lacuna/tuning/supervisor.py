"""Start workers, start those that died again, and wait until the study has its trials."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import optuna
from optuna.trial import FrozenTrial, TrialState

import lacuna
from lacuna.atomic import write_json
from lacuna.corpus import Corpus
from lacuna.errors import TrainingError
from lacuna.tuning.objective import Data, put_corpus
from lacuna.tuning.owners import claiming, living
from lacuna.tuning.place import Place
from lacuna.tuning.study import StudyConfig, open_study
from lacuna.tuning.trials import ENDED, KIND, RAISED, REASON, Count, bury
from lacuna.tuning.worker import HOPELESS, JOB, STOPPED, STORAGE, quieten

LOOK = 0.5  # seconds between two looks at the workers
_log = logging.getLogger(__name__)


def run_study(config: StudyConfig, corpus: Corpus, place: Place) -> optuna.Study:
    """Bring a study to its end, from wherever it stands; run again after any interruption it goes on.

    It gives up after ``failures`` trials that raised an error since this call began: those of earlier ones may have been mended.

    Args:
        config: what it does.
        corpus: the splits ``train`` and ``valid``, and no other.
        place: where it lives.

    Returns:
        The study, with exactly as many finished trials as were asked for, unless it gave up or had more before.

    Raises:
        ConfigError: what is there was judged otherwise, or the storage cannot be used.
        DataError: a test utterance, or a damaged journal.
        TrainingError: every trial failed, or workers die again and again.
    """
    quieten()
    data = Data.of(corpus, config.target)
    study = open_study(config, place, data.digests())
    with claiming(place.folder):
        bury(study, place)
    before = Count.of(study).raised
    config = replace(config, failures=config.failures + before)
    seen = {t.number for t in study.get_trials(deepcopy=False) if t.state.is_finished()}
    if seen:
        _log.info("study '%s' goes on: %d of %d trials are there", place.name, Count.of(study).finished, config.trials)
    if not Count.of(study).over(config):
        put_corpus(corpus, place.folder, data.digests())
        write_json(place.folder / JOB, {"config": config.to_json(), "name": place.name, "data": data.digests()})
        _supervise(study, config, place, seen)
    with claiming(place.folder):
        bury(study, place)
        if not living(place.folder):  # of another command on the same study
            shutil.rmtree(place.folder / "trials", ignore_errors=True)
    judge(study, config, before)
    return study


@dataclass(eq=False)
class _Worker:
    """A child process; the pipe to it closes with this process, and then it ends itself."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, number: int, place: Place, stack: ExitStack) -> _Worker:
        package = str(Path(lacuna.__file__).parents[1])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), STORAGE: place.storage}
        path = place.folder / f"worker-{number}.log"
        log: IO[bytes] = stack.enter_context(path.open("ab"))
        command = [sys.executable, "-m", "lacuna.tuning", str(place.folder.absolute())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        return cls(process, path)


def _supervise(study: optuna.Study, config: StudyConfig, place: Place, seen: set[int]) -> None:
    restarts = 0
    with ExitStack() as stack:
        workers = [_Worker.start(number, place, stack) for number in range(config.workers)]
        try:
            while any(worker.process.poll() != 0 for worker in workers):
                time.sleep(LOOK)
                _tell(study, config, seen)
                for number, worker in enumerate(workers):
                    status = worker.process.poll()
                    if status in (None, 0):
                        continue
                    restarts += 1
                    if status == HOPELESS:
                        raise TrainingError(f"study '{place.name}' cannot go on\n  {(place.folder / STOPPED).read_text('utf-8')}")
                    if restarts > config.restarts:
                        raise TrainingError(
                            f"workers of study '{place.name}' died {restarts} times (tune.restarts)\n"
                            f"  found: {_last(worker.log)}\n"
                            f"  do: see {worker.log}; then run again, nothing that was finished is lost"
                        )
                    told = number, status, restarts, config.restarts
                    _log.warning("worker %d ended with %d and is started again (%d of %d)", *told)
                    workers[number] = _Worker.start(number, place, stack)
        finally:
            for worker in workers:
                if worker.process.poll() is None:
                    worker.process.kill()
                worker.process.wait()
    _tell(study, config, seen)


def _tell(study: optuna.Study, config: StudyConfig, seen: set[int]) -> None:
    """Log the trials that ended since the last look."""
    trials = study.get_trials(deepcopy=False)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    best = max(complete, key=_value, default=None)
    finished = sum(t.state in ENDED for t in trials)
    for trial in trials:
        if trial.number in seen or not trial.state.is_finished():
            continue
        seen.add(trial.number)
        what = f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else trial.state.name.lower()
        what += f" ({trial.user_attrs[REASON].splitlines()[0]})" if REASON in trial.user_attrs else ""
        led = "" if best is None else f"; best {best.value:.4f}, trial {best.number}"
        _log.info("trial %d: %s%s; %d of %d finished", trial.number, what, led, finished, config.trials)


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def judge(study: optuna.Study, config: StudyConfig, before: int = 0) -> None:
    """Refuse a study without a result, and say so if it gave up.

    Args:
        study: at its end.
        config: what it does.
        before: how many trials had raised an error before this command; their reasons are not told again.

    Raises:
        TrainingError: no trial was completed; the message quotes the first reason.
    """
    trials = study.get_trials(deepcopy=False)
    raised = [t for t in trials if t.state == TrialState.FAIL and t.user_attrs.get(KIND) == RAISED]
    raised = raised[before:] or raised
    if not any(t.state == TrialState.COMPLETE for t in trials):
        first = raised[0].user_attrs[REASON] if raised else "no trial was completed"
        raise TrainingError(
            f"study '{study.study_name}' has no result: {len(raised)} of its trials failed\n  first reason: {first}\n"
            "  do: mend it, and run again; or begin another study: tune.name=..."
        )
    if (count := Count.of(study)).finished < config.trials:
        _log.warning(
            "study '%s' gave up with %d of %d trials, since %d failed (tune.failures); the first: %s",
            study.study_name, count.finished, config.trials, len(raised), raised[0].user_attrs[REASON],
        )  # fmt: skip


def _last(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "no word"
