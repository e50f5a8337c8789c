"""The value of a trial: the area under the validation metric over missing rates. No test utterance is in reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from lacuna.corpus import Corpus, save_corpus
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.storage.format import MANIFEST
from lacuna.errors import DataError
from lacuna.metrics.curves import auilc
from lacuna.missing import Layout, MaskPlan, derive_seed
from lacuna.training import Loader, Recipe, TrainedRecognizer, fit
from lacuna.training.device import autocast, own_random_state, pick_device, reproducible
from lacuna.training.identity import corpus_digest, run_key
from lacuna.training.selection import metric_name, tallied
from lacuna.training.state import Row
from lacuna.tuning.space import split_parameters, training_config
from lacuna.tuning.study import WARM, StudyConfig

_BATCH = 256


def base_recipe(corpus: Corpus, config: StudyConfig) -> Recipe:
    """Return what all trials of a study train on; settings and seed are those of each trial.

    Raises:
        DataError: the corpus holds a test utterance.
    """
    if n_test := int((corpus.utterances.split == SPLITS.index("test")).sum()):
        raise DataError(
            "a study would see test utterances",
            corpus=corpus.name,
            expected="train and valid only",
            found=f"{n_test} of {len(corpus)} are test",
            hint="pass corpus.only('train', 'valid')",
        )
    return Recipe.of(corpus, config.model, target=config.target)


def digests(recipe: Recipe) -> dict[str, str]:
    """Return the hashes of the two splits of a recipe."""
    return {name: corpus_digest(getattr(recipe, name), recipe.schema) for name in ("train", "valid")}


def put_corpus(corpus: Corpus, folder: Path, data: Mapping[str, str]) -> Path:
    """Save train and valid for the workers, unless that was done before; returns where. The test split is never written."""
    path = folder / "-".join(["corpus", *(digest[:8] for digest in data.values())])
    return path if (path / MANIFEST).is_file() else save_corpus(corpus.only("train", "valid"), path)


def value_of(
    config: StudyConfig,
    base: Recipe,
    parameters: Mapping[str, Any],
    folder: Path | None = None,
    watch: Callable[[Row], None] | None = None,
) -> tuple[float, dict[str, Any]]:
    """Train with the parameters of a trial and score on validation.

    Args:
        config: what is fixed, and how trials are scored.
        base: see :func:`base_recipe`.
        parameters: of the trial.
        folder: of checkpoints, from which a killed trial continues.
        watch: is called with every epoch of the first training seed.

    Returns:
        The value, a mean over training seeds; and further facts as JSON values.
    """
    settings, training = split_parameters(parameters)
    settings, train_config = {**config.settings, **settings}, training_config({**config.training, **training})
    values, metrics, epochs, seconds = [], [], [], 0.0
    for number, seed in enumerate(config.seeds):
        recipe = replace(base, model=config.model, config=train_config, settings=settings, seed=seed)
        checkpoints = None if folder is None else folder / f"seed-{seed}-{run_key(recipe)}"
        trained = fit(recipe, checkpoints, watch=watch if number == 0 else None).trained
        values.append(area(trained, base, config))
        metrics.append(trained.selection.value)
        epochs.append(trained.selection.epochs)
        seconds += trained.selection.seconds
    facts = {"values": values, metric_name(base.schema.target): metrics, "epochs": epochs, "seconds": round(seconds, 3)}
    return float(np.mean(values)), facts


def area(trained: TrainedRecognizer, base: Recipe, config: StudyConfig) -> float:
    """Return the AUILC of the selection metric on validation, under other masks than those that selected the weights."""
    training = training_config(config.training)
    device = pick_device(training.device)
    layout = Layout.of(base.valid)
    plans = [(rate, derive_seed(seed, "study")) for rate in config.rates for seed in config.mask_seeds]
    masks = [MaskPlan(config.judged_under(), rate, seed).over(layout) for rate, seed in plans]
    with reproducible(training.threads), own_random_state(device, derive_seed(config.seed, "study")):
        model = trained.model.to(device)
        loader = Loader(base.valid, base.schema, base.statistics, _BATCH, model.needs_dialogue, device)
        tallies = tallied(model, loader, masks, autocast(training.precision, torch.device(device)))
    by_rate = np.array([t.metric for t in tallies]).reshape(len(config.rates), -1)  # (R * S,) -> (R, S)
    return float(auilc(config.rates, by_rate.mean(axis=1)))


def watcher(trial: optuna.Trial, metric: str) -> Callable[[Row], None]:
    """Return what reports every epoch of a trial, and raises ``optuna.TrialPruned`` if it is worse than the others.

    The trial of the variant's own settings is never pruned.
    """

    def watch(row: Row) -> None:
        step = int(row["epoch"])
        trial.report(row[metric], step)
        if WARM not in trial.user_attrs and trial.should_prune():
            raise optuna.TrialPruned(f"worse than the median after epoch {step + 1}")

    return watch
