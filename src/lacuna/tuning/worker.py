"""One process that runs trials until the study has enough of them: ``python -m lacuna.tuning FOLDER``."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import TrialState

from lacuna.errors import LacunaError, TrainingError
from lacuna.models import model_class
from lacuna.source import code_digest
from lacuna.training.selection import metric_name
from lacuna.tuning.objective import Data, get_corpus, value_of, watcher
from lacuna.tuning.owners import Owner, claiming, owning
from lacuna.tuning.place import Place
from lacuna.tuning.study import StudyConfig, open_study
from lacuna.tuning.trials import Count, failed, root_of, take

JOB, STOPPED = "job.json", "stopped.txt"
HOPELESS = 4  # exit status: started again, it would end in the same way
STORAGE = "LACUNA_STUDY_STORAGE"  # an address may hold a password, so that it is in no file
PAUSE = 0.3  # seconds between two looks at a study whose last trials run elsewhere
_log = logging.getLogger(__name__)


def work(config: StudyConfig, data: Data, place: Place, digests: Mapping[str, str]) -> None:
    """Run trials until the study has as many as it was asked for, or has failed too often.

    Args:
        config: what the study does.
        data: the two splits.
        place: where the study lives.
        digests: of the corpus that the data are a copy of.
    """
    quieten()
    study = open_study(config, place, digests)
    with owning(place.folder, whole=place.journal is None) as owner:
        while (trial := _next(study, config, place, owner)) is not None:
            run_trial(study, trial, config, data, place)


def _next(study: optuna.Study, config: StudyConfig, place: Place, owner: Owner) -> optuna.Trial | None:
    """The next trial; ``None`` once there is no more to do. Waits for those that run elsewhere, since they may fail."""
    while True:
        with claiming(place.folder):
            trial = take(study, config, place, owner)
        if trial is not None or Count.of(study).over(config):
            return trial
        time.sleep(PAUSE)


def run_trial(study: optuna.Study, trial: optuna.Trial, config: StudyConfig, data: Data, place: Place) -> None:
    """Bring a trial to its end: completed, pruned, or failed with a reason."""
    scratch = place.folder / "trials" / str(root_of(trial))  # another attempt goes on from the checkpoint of the one that died
    trial.set_user_attr("code", code_digest(["lacuna.training.fit", model_class(config.model).__module__]))
    with get_heartbeat_thread(trial._trial_id, study._storage):
        try:
            value, facts = value_of(config, data, trial.params, scratch, watcher(trial, metric_name(data.schema.target)))
            if not math.isfinite(value):
                raise TrainingError(f"the area under the validation curve is {value}")
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        except Exception as error:
            _log.exception("trial %d failed", trial.number)
            failed(study, trial, error)
        else:
            trial.set_user_attr("facts", facts)
            study.tell(trial, value, skip_if_finished=True)
    shutil.rmtree(scratch, ignore_errors=True)


def quieten() -> None:
    """Say ourselves what a study does, and let Optuna speak of what is wrong only."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used")


def _follow_parent() -> None:
    """End at once when the process that started this one has ended, however that was: its end of the pipe closes with it."""
    while os.read(0, 1):
        pass
    os._exit(3)


def main() -> None:
    """Run what the folder's job file says."""
    folder = Path(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s", stream=sys.stderr)
    threading.Thread(target=_follow_parent, daemon=True).start()
    job = json.loads((folder / JOB).read_text("utf-8"))
    config = StudyConfig.from_json(job["config"])
    place = Place(folder, job["name"], os.environ.get(STORAGE, ""))
    try:
        work(config, Data.of(get_corpus(folder), config.target), place, job["data"])
    except LacunaError as error:
        _log.error("%s", error)
        (folder / STOPPED).write_text(str(error), "utf-8")
        sys.exit(HOPELESS)
