"""What came out of a study."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from lacuna.errors import TrainingError
from lacuna.tuning.place import Place
from lacuna.tuning.space import split_parameters
from lacuna.tuning.study import WARM, StudyConfig
from lacuna.tuning.trials import ATTEMPT, KIND, OWNER, REASON, RETRY_OF, name_of, root_of

PARAM = "param_"  # before a parameter's name among the columns


@dataclass(frozen=True)
class Best:
    """The trial that was best on validation.

    Attributes:
        number: of the trial.
        value: on validation.
        settings: of the model, of what was searched.
        training: likewise, of training.
    """

    number: int
    value: float
    settings: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class StudyFacts:
    """What a reader needs to know of a study.

    Attributes:
        name: of the study.
        storage: where it lives, without a password.
        corpus: whose validation split judged.
        target: what is predicted.
        metric: the selection metric.
        config: what was searched, and how it was judged.
        best: the best trial.
        start: value of the variant's own settings, if that trial was completed.
        codes: how many states of the code the trials were run with.
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
    """One row a trial.

    Returns:
        number, state, value (of a pruned trial the last metric that it reported), warm, retry_of (the trial whose parameters it
        tries again), root (the first of those), attempt, kind and reason of a failure, epochs, seconds, started, ended, host,
        worker, a column ``param_<name>`` a parameter, and ``intermediate``, the metrics by epoch as JSON.
    """
    rows = []
    for trial in study.get_trials(deepcopy=False):
        attrs, owner = trial.user_attrs, trial.user_attrs.get(OWNER) or {}
        begun, ended = trial.datetime_start, trial.datetime_complete
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "warm": WARM in attrs,
                "retry_of": attrs.get(RETRY_OF),
                "root": root_of(trial),
                "attempt": attrs.get(ATTEMPT, 1),
                "kind": attrs.get(KIND, ""),
                "reason": attrs.get(REASON, ""),
                "epochs": len(trial.intermediate_values),
                "seconds": (ended - begun).total_seconds() if begun and ended else None,
                "started": begun,
                "ended": ended,
                "host": owner.get("host", ""),
                "worker": name_of(owner) if owner else "",
                **{PARAM + name: value for name, value in trial.params.items()},
                "intermediate": json.dumps(trial.intermediate_values),
            }
        )
    table = pd.DataFrame(rows)
    return table.astype({"value": "float64", "seconds": "float64", "retry_of": "Int64"}) if rows else table


def states(study: optuna.Study) -> dict[str, int]:
    """How many trials there are in each state."""
    count = Counter(t.state.name.lower() for t in study.get_trials(deepcopy=False))
    return {name: count[name] for name in ("complete", "pruned", "fail", "running", "waiting")}


def best_of(study: optuna.Study) -> Best:
    """The best completed trial; of equals the earliest.

    Raises:
        TrainingError: none was completed.
    """
    complete = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    if not complete:
        raise TrainingError(f"study '{study.study_name}' has no completed trial")
    best = max(complete, key=lambda t: (t.value, -t.number))
    return Best(best.number, float(best.value or 0.0), *split_parameters(best.params))


def importances(study: optuna.Study) -> dict[str, float]:
    """How much of what single parameters explain is due to each (fANOVA), largest first; empty if there is too little.

    The shares add up to 1, also where all of them together explain little.
    """
    complete = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    if len(complete) < 4 or len({t.value for t in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def study_facts(study: optuna.Study, config: StudyConfig, place: Place, *, corpus: str, target: str, metric: str) -> StudyFacts:
    """Gather what a page or a configuration tells."""
    trials = study.get_trials(deepcopy=False)
    warm = [_value(t) for t in trials if WARM in t.user_attrs and t.state == TrialState.COMPLETE]
    return StudyFacts(
        name=study.study_name,
        storage=str(place),
        corpus=corpus,
        target=target,
        metric=metric,
        config=config,
        best=best_of(study),
        start=warm[0] if warm else None,
        codes=len({t.user_attrs["code"] for t in trials if "code" in t.user_attrs}),
    )


def _value(trial: FrozenTrial) -> float:
    return float(trial.value or 0.0)
