"""The same number of trials for every model: the best settings that a budget finds on validation."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lacuna.corpus import Corpus, open_corpus
from lacuna.errors import BusyError, ConfigError
from lacuna.models import Space, configure, model_class
from lacuna.parallel import n_workers, run_parallel
from lacuna.progress import progress
from lacuna.training.device import pick_device
from lacuna.training.lock import locked
from lacuna.tuning.objective import base_recipe, digests
from lacuna.tuning.results import best_of
from lacuna.tuning.run import run_study
from lacuna.tuning.space import TRAINING, search, training_config
from lacuna.tuning.storage import Place
from lacuna.tuning.study import Count, StudyConfig

POLL = 0.5  # seconds between two looks at a search that another process runs
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
    workers: int = 0,
) -> Chosen:
    """Return the best settings of a model on validation after a number of trials.

    The first trial has the given settings and is never stopped early; the others are drawn from the search space of the model and
    of training, and successive halving (Jamieson and Talwalkar, AISTATS 2016) stops those that are behind. The trials are a study
    (:func:`~lacuna.tuning.run_study`): the same call continues it, and a larger budget adds trials to it. Trials are trained with
    seed 0, whatever the seeds of the run are. Two things are not searched: a setting whose own value is outside of its span, and
    an ensemble, whose members are trials of one model alone.

    Args:
        model: a registered name.
        corpus: its test split is left out before anything is read.
        budget: number of trials.
        folder: of the studies; each has a name that its identity decides, so calls with the same settings share one.
        settings: of the model, where they differ from the defaults.
        training: settings of training.
        target: of the corpus; ``None`` = its first.
        workers: processes that run trials; 0 = this process. With at most one the chosen settings are the same each time.

    Raises:
        ConfigError: a budget below 1.
        BusyError: another process runs this search.
        TrainingError: every trial failed.
    """
    if budget < 1:
        raise ConfigError(f"budget must be a whole number of at least 1; found {budget}")
    alone = {name: value for name, value in settings.items() if name != "ensemble"}
    of_model, of_training = model_class(model).Config.space, TRAINING if model_class(model).learns else {}
    fixed = _outside(of_model, asdict(configure(model, **alone)))
    fixed_training = _outside(of_training, vars(training_config(training)))
    if len(fixed) == len(of_model) and len(fixed_training) == len(of_training):
        return Chosen(dict(settings), dict(training), 1)
    searched = search(model, alone, training, fixed, fixed_training)
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
    with locked(folder / name):
        study = run_study(config, development, Place(folder / name, name))
    best = best_of(study)
    finished = Count.of(study).finished
    return Chosen({**settings, **best.settings}, {**training, **best.training}, finished)


def _outside(space: Space, own: Mapping[str, Any]) -> dict[str, None]:
    """Return the settings whose own value is outside of its span."""
    return {name: None for name, dimension in space.items() if not dimension.holds(own[name])}


class _Job(NamedTuple):
    """A search as another process can read it: the corpus by its folder."""

    corpus: Corpus | Path
    model: str
    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    budget: int
    folder: Path
    target: str | None


def all_within_budget(
    variants: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    corpus: Corpus,
    budget: int,
    folder: Path,
    *,
    target: str | None = None,
    workers: int | None = None,
) -> dict[str, Chosen]:
    """Return what :func:`within_budget` chooses for each variant; several are searched at a time, each by one process.

    Args:
        variants: by name, the registered model, its settings and those of training.
        corpus: its test split is left out. One in memory is searched on in this process, one variant after the other.
        budget: number of trials of each variant.
        folder: of the studies.
        target: of the corpus; ``None`` = its first.
        workers: at most so many processes; ``None`` = one for each core, one on a GPU.

    Raises:
        LacunaError: as :func:`within_budget`. Finished trials are kept.
    """
    place = corpus if corpus.folder is None else corpus.folder
    jobs = [_Job(place, *variant, budget, folder, target) for variant in variants.values()]
    on_gpu = any(pick_device(training_config(job.training).device).type == "cuda" for job in jobs)
    count = 1 if corpus.folder is None else n_workers(workers, len(jobs), on_gpu=on_gpu)
    with progress("choosing settings", len(jobs)) as shown:
        return dict(zip(variants, run_parallel(_search, jobs, count, progress=shown), strict=True))


def _search(job: _Job) -> Chosen:
    """Search in a process of its own; the trials are in the study's folder."""
    corpus = open_corpus(job.corpus) if isinstance(job.corpus, Path) else job.corpus
    settings: dict[str, Any] = {"settings": job.settings, "training": job.training, "target": job.target}
    while True:
        try:
            return within_budget(job.model, corpus, job.budget, job.folder, **settings)
        except BusyError:  # another variant shares the search, or another command runs it
            time.sleep(POLL)
