"""Train what the parameters name."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.errors import naming_extras
from lacuna.pipelines.checks import check_statistics
from lacuna.pipelines.parameters import Models, Train, check_variants
from lacuna.training import Recipe, TrainedRecognizer, fit_all, model_settings, training_config, training_settings
from lacuna.training.logs import history_table

logger = logging.getLogger(__name__)


def train_recognizers(
    corpus: Corpus, statistics: dict[str, NDArray[np.float32]], train: Train, models: Models
) -> tuple[list[TrainedRecognizer], pd.DataFrame]:
    """Train every model with every seed, in parallel processes; a run that was finished before is not repeated.

    Variants with equal settings are one run: the folder of a checkpoint depends on the registered name and the recipe alone. With
    a budget each variant first chooses its settings on validation, once for all seeds.

    Args:
        corpus: the splits ``train`` and ``valid``, and no other.
        statistics: of the training split.
        train: variants of the models, seeds, and the training settings of all of them.
        models: by variant, which model it is, with settings.

    Returns:
        The recognisers, and a row for each epoch: model (its variant), seed, epoch (from 1), losses, the validation metric.
    """
    check_variants(train, models)
    standard = Statistics.from_tensors(statistics)
    check_statistics(standard, corpus)
    own = {variant: models.of(variant) for variant in train.models}
    utterances = len(corpus.only("train"))
    plain = {
        variant: (
            one.model,
            model_settings(one.model, one.settings, utterances=utterances),
            training_settings(one.model, train.training, one.training, utterances=utterances),
        )
        for variant, one in own.items()
    }
    trials = dict.fromkeys(plain, 1)
    if train.budget is not None:
        with naming_extras("train.budget"):
            from lacuna.tuning import all_within_budget, studies_of  # optuna is an extra, and slow to import

            folder = studies_of(train.checkpoints)
            chosen = all_within_budget(plain, corpus, train.budget, folder, target=train.target, workers=train.workers)
        plain = {variant: (own[variant].model, one.settings, one.training) for variant, one in chosen.items()}
        trials = {variant: one.trials for variant, one in chosen.items()}
    runs = [(variant, seed) for variant in train.models for seed in train.seeds]
    recipes = [
        Recipe.of(corpus, model, training_config(training), settings, seed, target=train.target, statistics=standard)
        for variant, (model, settings, training) in plain.items()
        for seed in train.seeds
    ]
    trained, histories = [], []
    for fitted in fit_all(recipes, train.checkpoints, [variant for variant, _ in runs], workers=train.workers):
        one = fitted.trained.after_trials(trials[fitted.trained.variant])
        selected = one.selection
        logger.info(
            "%s, seed %d: validation %s %.3f at epoch %d",
            one.variant,
            one.seed,
            selected.metric,
            selected.value,
            selected.epoch + 1,
        )
        trained.append(one)
        histories.append(history_table(fitted.history, one.variant, one.seed))
    return trained, pd.concat(histories, ignore_index=True)
