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
from lacuna.training import Recipe, TrainedRecognizer, fit, run_folder

logger = logging.getLogger(__name__)


def train_recognizers(
    corpus: Corpus, statistics: dict[str, NDArray[np.float32]], train: Train, models: Models
) -> tuple[list[TrainedRecognizer], pd.DataFrame]:
    """Train every model with every seed, one after the other; a run that was finished before is not repeated.

    Variants with equal settings are one run: the folder of a checkpoint depends on the registered name and the recipe alone.

    Args:
        corpus: the splits ``train`` and ``valid``, and no other.
        statistics: of the training split.
        train: variants of the models, seeds, and the training settings of all of them.
        models: by variant, which model it is, with settings.

    Returns:
        The recognisers, and a row an epoch: model (its variant), seed, epoch, losses, the validation metric.
    """
    check_variants(train, models)
    standard = Statistics.from_tensors(statistics)
    check_statistics(standard, corpus)
    trained, histories = [], []
    for variant in train.models:
        own = models.of(variant)
        config = train.config(own)
        for seed in train.seeds:
            recipe = Recipe.of(corpus, own.model, config, own.settings, seed, target=train.target, statistics=standard)
            fitted = fit(recipe, run_folder(train.checkpoints, recipe), variant=variant)
            chosen = fitted.trained.selection
            logger.info("%s, seed %d: valid %s %.3f at epoch %d", variant, seed, chosen.metric, chosen.value, chosen.epoch)
            trained.append(fitted.trained)
            histories.append(pd.DataFrame(fitted.history).assign(model=variant, seed=seed))
    return trained, pd.concat(histories, ignore_index=True)
