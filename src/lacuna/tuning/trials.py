"""Taking trials and burying those of dead workers, so that so many are brought to an end as were asked for, none of them twice.

All of it happens under the study's claim (:func:`lacuna.tuning.owners.claiming`). A trial names its owner before anything else;
one that runs under an owner that no longer lives is failed, and its parameters are put into the queue again: first the reason,
then the copy, which names the trial it stands for, then the end. Whoever is killed in between leaves what the next one finishes.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from lacuna.tuning.owners import Owner, lives
from lacuna.tuning.place import GRACE, Place
from lacuna.tuning.study import WARM, StudyConfig, draw, sampler

OWNER, REASON, KIND, RETRY_OF, ATTEMPT, ROOT = "owner", "reason", "kind", "retry_of", "attempt", "root"
DIED, RAISED, SURPLUS = "died", "raised", "surplus"  # why a trial failed
ATTEMPTS = 8  # parameters that were running each time so many workers died are not tried again
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Count:
    """Where a study stands.

    Attributes:
        finished: trials that were completed or pruned.
        running: trials under living owners.
        raised: trials that ended in an error.
    """

    finished: int
    running: int
    raised: int

    @classmethod
    def of(cls, study: optuna.Study) -> Count:
        """Count the trials of a study."""
        trials = study.get_trials(deepcopy=False)
        return cls(
            sum(t.state in ENDED for t in trials),
            sum(t.state == TrialState.RUNNING for t in trials),
            sum(t.user_attrs.get(KIND) == RAISED and t.state == TrialState.FAIL for t in trials),
        )

    def over(self, config: StudyConfig) -> bool:
        """Nothing more is to be begun, whatever becomes of the trials that run."""
        return self.finished >= config.trials or self.raised >= config.failures


def take(study: optuna.Study, config: StudyConfig, place: Place, owner: Owner) -> optuna.Trial | None:
    """Begin a trial, all its parameters drawn; ``None`` if those that run may be the last. Under the claim only."""
    bury(study, place)
    count = Count.of(study)
    if count.over(config) or count.finished + count.running >= config.trials:
        return None
    study.sampler = sampler(config, len(study.get_trials(deepcopy=False)))
    trial = study.ask()
    trial.set_user_attr(OWNER, owner.to_json())
    if isinstance(study._storage, RDBStorage):
        study._storage.record_heartbeat(trial._trial_id)
        if _too_many(study, config, trial.number):  # a worker on another machine was quicker
            _surplus(study, trial)
            return None
    for name, dim in config.space.items():
        draw(trial, name, dim)
    return trial


def bury(study: optuna.Study, place: Place) -> int:
    """End the running trials of dead owners; returns how many. Under the claim only."""
    trials = study.get_trials(deepcopy=False)
    dead = [t for t in trials if t.state == TrialState.RUNNING and _dead(study, place, t)]
    copies = {t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs}
    for trial in dead:
        owner, attempt = trial.user_attrs.get(OWNER), trial.user_attrs.get(ATTEMPT, 1)
        reason = f"the worker died ({name_of(owner)} on {owner['host']})" if owner else "the worker died at once"
        again = attempt < ATTEMPTS
        if not again:
            reason += f"; attempt {attempt} of {ATTEMPTS} with these parameters, so they are given up"
        _attribute(study, trial, REASON, reason)
        _attribute(study, trial, KIND, DIED)
        parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if again and parameters and trial.number not in copies:
            own = {RETRY_OF: trial.number, ROOT: root_of(trial), ATTEMPT: attempt + 1}
            own |= {WARM: True} if WARM in trial.user_attrs else {}
            study.enqueue_trial(parameters, user_attrs=own)
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        _log.warning("trial %d: %s%s", trial.number, reason, "; its parameters are tried again" if again and parameters else "")
    return len(dead)


def root_of(trial: optuna.Trial | FrozenTrial) -> int:
    """Number of the trial that first had these parameters, if this one is another attempt at them; else its own."""
    return int(trial.user_attrs.get(ROOT, trial.number))


def name_of(owner: dict[str, Any]) -> str:
    """How a worker is called in tables."""
    return str(owner["lock"]).rpartition("/")[2].removesuffix(".lock")


def failed(study: optuna.Study, trial: optuna.Trial, error: Exception) -> None:
    """End a trial that raised an error, with its reason."""
    trial.set_user_attr(REASON, f"{type(error).__name__}: {error}"[:2000])
    trial.set_user_attr(KIND, RAISED)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def _dead(study: optuna.Study, place: Place, trial: FrozenTrial) -> bool:
    """Whether nobody will ever end the trial."""
    owner: dict[str, Any] | None = trial.user_attrs.get(OWNER)
    storage = study._storage
    if not isinstance(storage, RDBStorage):
        return owner is None or not lives(place.folder, owner)  # who asked for it held the claim, which is ours now
    if owner is not None and owner["host"] == socket.gethostname():
        return not lives(place.folder, owner)
    begun = trial.datetime_start or datetime.now()
    unnamed = owner is None and datetime.now() - begun > timedelta(seconds=GRACE)
    return unnamed or trial._trial_id in storage._get_stale_trial_ids(study._study_id)


def _too_many(study: optuna.Study, config: StudyConfig, number: int) -> bool:
    """Whether the study has its trials without this one: all that ended, and those begun before it."""
    trials = study.get_trials(deepcopy=False)
    before = [t for t in trials if t.number < number and t.state in (TrialState.RUNNING, TrialState.WAITING)]
    return len(before) + sum(t.state in ENDED for t in trials) >= config.trials


def _surplus(study: optuna.Study, trial: optuna.Trial) -> None:
    """Give a trial back that one too many workers took."""
    queued = study._storage.get_trial(trial._trial_id).system_attrs.get("fixed_params")
    if queued:
        study.enqueue_trial(queued, user_attrs={k: v for k, v in trial.user_attrs.items() if k != OWNER})
    trial.set_user_attr(REASON, "another machine had begun the last trial already")
    trial.set_user_attr(KIND, SURPLUS)
    study.tell(trial, state=TrialState.FAIL)


def _attribute(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    if trial.user_attrs.get(key) != value:
        study._storage.set_trial_user_attr(trial._trial_id, key, value)
