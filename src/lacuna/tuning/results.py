"""Results of a study: its trials as a table, its best trial, and a summary in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from lacuna.errors import ConfigError, TrainingError
from lacuna.tuning.space import split_parameters
from lacuna.tuning.storage import ATTEMPTS, Place, open_database
from lacuna.tuning.study import REASON, WARM, WORKER, StudyConfig
from lacuna.tuning.worker import first_attempt, quiet_optuna

PARAM = "param_"  # before a parameter's name among the columns


@dataclass(frozen=True)
class Best:
    """The trial that was best on validation: its number, its value, and what was searched of the model and of training."""

    number: int
    value: float
    settings: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class StudyFacts:
    """What a reader needs to know of a study.

    Attributes:
        name: of the study.
        storage: where it is stored, without a password.
        corpus: on whose validation split trials were scored.
        target: what is predicted.
        metric: the selection metric.
        config: what was searched, and how trials were scored.
        best: the best trial.
        start: value of the variant's own settings, if that trial was completed.
        codes: number of different versions of the code that ran the trials.
    """

    name: str
    storage: str
    corpus: str
    target: str
    metric: str
    config: StudyConfig
    best: Best
    start: float | None
    codes: int


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """Return one row a trial.

    Returns:
        number, state, value (of a pruned trial its last reported metric), warm (the variant's own settings), retry_of (the trial
        whose parameters it tries again), root (the first of those), attempt, kind (``died`` or ``raised``) and reason of a
        failure, epochs, seconds, started, ended, host, worker, a column ``param_<name>`` a parameter, and ``intermediate``,
        the metrics by epoch as JSON.
    """
    rows = []
    for trial in study.get_trials(deepcopy=False):
        attrs, worker = trial.user_attrs, trial.user_attrs.get(WORKER, {})
        history = RetryHeartbeatStaleTrialCallback.retry_history(trial)
        begun, ended = trial.datetime_start, trial.datetime_complete
        failed, attempt = trial.state == TrialState.FAIL, len(history) + 1
        died = "the worker died" + (f"; given up after {attempt} attempts" if attempt >= ATTEMPTS else "")
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "warm": WARM in attrs,
                "retry_of": history[-1] if history else None,
                "root": first_attempt(trial),
                "attempt": attempt,
                "kind": ("raised" if REASON in attrs else "died") if failed else "",
                "reason": attrs.get(REASON, died) if failed else "",
                "epochs": len(trial.intermediate_values),
                "seconds": (ended - begun).total_seconds() if begun and ended else None,
                "started": begun,
                "ended": ended,
                "host": worker.get("host", ""),
                "worker": worker.get("pid"),
                **{PARAM + name: value for name, value in trial.params.items()},
                "intermediate": json.dumps(trial.intermediate_values),
            }
        )
    table = pd.DataFrame(rows)
    return table.astype({"value": "float64", "seconds": "float64", "retry_of": "Int64", "worker": "Int64"}) if rows else table


def states(study: optuna.Study) -> dict[str, int]:
    """Return the number of trials in each state."""
    count = Counter(trial.state.name.lower() for trial in study.get_trials(deepcopy=False))
    return {name: count[name] for name in ("complete", "pruned", "fail", "running", "waiting")}


def best_of(study: optuna.Study) -> Best:
    """Return the best completed trial; of equal ones the earliest.

    Raises:
        TrainingError: no trial was completed.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise TrainingError(f"study '{study.study_name}' has no completed trial")
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    return Best(best.number, float(best.value or 0.0), *split_parameters(best.params))


def importances(study: optuna.Study) -> dict[str, float]:
    """Return how much each parameter explains of what single parameters explain (fANOVA), largest first; the shares add up to 1.

    Empty with fewer than four completed trials, or if all have the same value.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return {name: float(v) for name, v in optuna.importance.get_param_importances(study, evaluator=evaluator).items()}


def study_facts(study: optuna.Study, config: StudyConfig, place: Place, *, corpus: str, target: str, metric: str) -> StudyFacts:
    """Collect what a page or a configuration shows."""
    trials = study.get_trials(deepcopy=False)
    start = next((t.value for t in trials if WARM in t.user_attrs and t.state == TrialState.COMPLETE), None)
    codes = len({t.user_attrs["code"] for t in trials if "code" in t.user_attrs})
    return StudyFacts(study.study_name, str(place), corpus, target, metric, config, best_of(study), start, codes)


def summaries(storage: str, name: str | None = None) -> Iterator[str]:
    """Yield a summary of each study of a storage: trials by state, reasons of failures, the best trial.

    Args:
        storage: path of a SQLite file, or a URL.
        name: of a study; ``None`` = all.

    Raises:
        ConfigError: there is no such storage or study.
    """
    if "://" not in storage and not Path(storage).is_file():
        hint = "name a database (data/06_models/<run>/studies/<name>.db) or a URL"
        raise ConfigError(f"there is no study at {storage}\n  do: {hint}")
    quiet_optuna()
    database = open_database(storage if "://" in storage else f"sqlite:///{Path(storage).absolute()}")
    names = optuna.get_all_study_names(database)
    if not names or (name is not None and name not in names):
        raise ConfigError(f"{storage} holds no study {name or ''}\n  there are: {', '.join(names) or 'none'}")
    for study_name in [name] if name else names:
        yield summary(optuna.load_study(study_name=study_name, storage=database))


def summary(study: optuna.Study) -> str:
    """Return one study in words."""
    count, table = states(study), trials_table(study)
    lines = [f"study: {study.study_name}", "trials: " + ", ".join(f"{number} {state}" for state, number in count.items())]
    if count["fail"]:
        reasons = Counter(table.loc[table["state"] == "fail", "reason"].str.partition("\n")[0])
        lines += ["failures:", *(f"  {number} x {reason}" for reason, number in reasons.most_common(8))]
    if count["complete"]:
        best, own_values = best_of(study), table.loc[table["warm"] & (table["state"] == "complete"), "value"]
        lines.append(f"best: trial {best.number}, {best.value:.4f} on validation")
        lines += [f"own settings: {value:.4f}" for value in own_values[:1]]
        lines += [f"  {name}: {value}" for name, value in [*best.settings.items(), *best.training.items()]]
    return "\n".join(lines)
