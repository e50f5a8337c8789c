"""The same number of trials for every model: the best settings that a budget finds on validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.models import model_class
from lacuna.tuning.objective import base_recipe, digests
from lacuna.tuning.results import best_of
from lacuna.tuning.run import run_study
from lacuna.tuning.space import search
from lacuna.tuning.storage import Place
from lacuna.tuning.study import Count, StudyConfig

WARMUP = 2  # epochs before the first rung of successive halving
RATES, MASK_SEEDS = (0.0, 0.3, 0.6), (0,)  # of the area under the curve on validation


@dataclass(frozen=True)
class Chosen:
    """What a budget chose.

    Attributes:
        settings: of the model.
        training: settings of training.
        trials: number of finished trials; those that were stopped early count. 1 = the model has nothing to search.
    """

    settings: dict[str, Any]
    training: dict[str, Any]
    trials: int


def within_budget(
    model: str,
    corpus: Corpus,
    budget: int,
    folder: Path,
    *,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    target: str | None = None,
    workers: int = 1,
) -> Chosen:
    """Return the best settings of a model on validation after a number of trials.

    The first trial has the given settings and is never stopped early; the others are drawn from the search space of the model and
    of training, and successive halving (Jamieson and Talwalkar, AISTATS 2016) stops those that are behind. The trials are a study
    (:func:`~lacuna.tuning.run_study`): the same call continues it, and a larger budget adds trials to it.

    Args:
        model: a registered name.
        corpus: its test split is left out before anything is read.
        budget: number of trials.
        folder: of the studies; each has a name that its identity decides, so calls with the same settings share one.
        settings: of the model, where they differ from the defaults.
        training: settings of training.
        target: of the corpus; ``None`` = its first.
        workers: processes.

    Raises:
        ConfigError: a budget below 1.
        TrainingError: every trial failed.
    """
    if budget < 1:
        raise ConfigError(f"budget must be a whole number of at least 1; found {budget}")
    if not (model_class(model).learns or model_class(model).Config.space):
        return Chosen(dict(settings), dict(training), 1)
    searched = search(model, settings, training, {}, {})
    config = StudyConfig(
        variant=model,
        model=model,
        settings=searched.settings,
        training=searched.training,
        space=searched.space,
        start=searched.start,
        target=target,
        trials=budget,
        workers=workers,
        rates=RATES,
        mask_seeds=MASK_SEEDS,
        pruner="halving",
        warmup=WARMUP,
    )
    development = corpus.only("train", "valid")
    identity = json.dumps(config.identity(digests(base_recipe(development, config))), sort_keys=True)
    name = f"{model}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    study = run_study(config, development, Place(folder / name, name))
    best = best_of(study)
    finished = Count.of(study).finished
    return Chosen({**searched.settings, **best.settings}, {**searched.training, **best.training}, finished)
