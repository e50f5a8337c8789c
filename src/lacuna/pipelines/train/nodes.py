"""Train what the parameters name."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.pipelines.checks import check_statistics
from lacuna.pipelines.parameters import Models, Train, check_variants
from lacuna.training import Recipe, TrainedRecognizer, fit_all
from lacuna.training.logs import history_table

logger = logging.getLogger(__name__)


def train_recognizers(
    corpus: Corpus, statistics: dict[str, NDArray[np.float32]], train: Train, models: Models
) -> tuple[list[TrainedRecognizer], pd.DataFrame]:
    """Train every model with every seed, in parallel processes; a run that was finished before is not repeated.

    Variants with equal settings are one run: the folder of a checkpoint depends on the registered name and the recipe alone.

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
    runs = [(variant, models.of(variant), seed) for variant in train.models for seed in train.seeds]
    recipes = [
        Recipe.of(
            corpus, settings.model, train.config(settings), settings.settings, seed, target=train.target, statistics=standard
        )
        for _, settings, seed in runs
    ]
    trained, histories = [], []
    for fitted in fit_all(recipes, train.checkpoints, [variant for variant, _, _ in runs], workers=train.workers):
        one, chosen = fitted.trained, fitted.trained.selection
        logger.info(
            "%s, seed %d: validation %s %.3f at epoch %d", one.variant, one.seed, chosen.metric, chosen.value, chosen.epoch + 1
        )
        trained.append(one)
        histories.append(history_table(fitted.history, one.variant, one.seed))
    return trained, pd.concat(histories, ignore_index=True)
