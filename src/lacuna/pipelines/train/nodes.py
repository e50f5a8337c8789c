"""Train what the parameters name."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.pipelines.checks import check_statistics
from lacuna.pipelines.parameters import Models, Train, check_labels, training_config
from lacuna.training import TrainedRecognizer
from lacuna.training.identity import Recipe
from lacuna.training.runs import fit_among

logger = logging.getLogger(__name__)


def train_recognizers(
    corpus: Corpus, statistics: dict[str, NDArray[np.float32]], train: Train, models: Models
) -> tuple[list[TrainedRecognizer], pd.DataFrame]:
    """Train every model with every seed, one after the other; a run that was finished before is not repeated.

    Labels with equal settings are one run: checkpoints lie by registered name and by what decides the result.

    Args:
        corpus: the splits ``train`` and ``valid``, and no other.
        statistics: of the training split.
        train: labels of the models, seeds, and the training settings of all of them.
        models: by label, which model it is, with settings.

    Returns:
        The recognisers, and a row an epoch: model (its label), seed, epoch, losses, the validation metric.
    """
    check_labels(train, models)
    schema, learn, choose = corpus.schema(train.target), corpus.only("train"), corpus.only("valid")
    standard = Statistics.from_tensors(statistics)
    check_statistics(standard, corpus)
    trained, histories = [], []
    for label in train.models:
        own = models.of(label)
        config = training_config(train.training | own.training)
        for seed in train.seeds:
            recipe = Recipe(own.model, own.settings, schema, learn, choose, standard, config, seed)
            fitted = fit_among(train.checkpoints, recipe, label)
            chosen = fitted.trained.selection
            logger.info("%s, seed %d: valid %s %.3f at epoch %d", label, seed, chosen.metric, chosen.value, chosen.epoch)
            trained.append(fitted.trained)
            histories.append(pd.DataFrame(fitted.history).assign(model=label, seed=seed))
    return trained, pd.concat(histories, ignore_index=True)
