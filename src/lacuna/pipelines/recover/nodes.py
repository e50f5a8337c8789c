"""The test split with missing frames filled in, for other software."""

from __future__ import annotations

import logging

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.evaluation.recovery.export import Completion, complete, nothing_completed
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.parameters import BEST
from lacuna.pipelines.recover.parameters import Recover
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

logger = logging.getLogger(__name__)


def complete_test(corpus: Corpus, recognizers: list[TrainedRecognizer], recover: Recover) -> tuple[Completion, pd.DataFrame]:
    """Remove frames of the test split and return it as a recogniser completes it.

    Args:
        corpus: the test split.
        recognizers: those of the last training run; the best on validation of those that recover is used, or of those with one
            variant.
        recover: model and mask.

    Returns:
        The completed corpus, and its error by modality beside that of the training mean; both empty if no recogniser recovers.

    Raises:
        ConfigError: the named model was not trained or does not recover.
    """
    check_same_corpus(recognizers, corpus.digest or "", corpus.name)
    among = [r for r in recognizers if recover.model in (BEST, r.variant)]
    recovering = [r for r in among if r.model.recovers]
    variants = ", ".join(dict.fromkeys(r.variant for r in recognizers))
    if not among:
        raise ConfigError(f"recover.model: there is no trained '{recover.model}'; trained are: {variants}; or '{BEST}'")
    if not recovering and recover.model != BEST:
        raise ConfigError(f"recover.model: '{recover.model}' does not recover missing values; `best` uses a model that does")
    if not recovering:
        reason = f"none of the trained models recovers missing values: {variants}"
        logger.info("nothing is completed: %s", reason)
        return nothing_completed(reason)
    trained = max(recovering, key=lambda r: r.selection.value)
    with reproducible(recover.threads):
        return complete(trained, corpus, recover.plan(), pick_device(recover.device))
