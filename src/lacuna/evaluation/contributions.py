"""What each part of a model adds to its answer, for models whose parts sum to the answer exactly."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.predict import inference, loader_of
from lacuna.models.base import CONTRIBUTION
from lacuna.training.device import reproducible
from lacuna.training.trained import TrainedRecognizer

Contributions: TypeAlias = dict[str, NDArray[np.float32]]


def contributions(
    trained: TrainedRecognizer, corpus: Corpus, *, batch_size: int = 1024, device: torch.device | str = "cpu"
) -> Contributions:
    """Return what each part of the model adds to its logits (or value).

    Args:
        trained: the recogniser.
        corpus: N utterances; may lack modalities of the recogniser, but not all of them.
        batch_size: utterances in a forward pass; dialogues are kept whole for models that read them.
        device: where to compute.

    Returns:
        By part (N, C) float32, in the order of the corpus; the parts sum to the logits, or to the value with C = 1. Parts of
        ``evidence`` are ``prior``, ``evidence.<modality>``, ``interaction`` and ``context``. Empty if a model has no such parts.

    Raises:
        DataError: the corpus does not fit the recogniser.

    >>> import lacuna
    >>> corpus = lacuna.load_corpus("duet", preset="tiny")
    >>> model = lacuna.create_model("evidence").fit(corpus, epochs=1)
    >>> sorted(contributions(model.trained, corpus))
    ['context', 'evidence.audio', 'evidence.text', 'evidence.vision', 'interaction', 'prior']
    """
    loader = loader_of(trained, corpus, batch_size, device)
    collected: dict[str, list[NDArray[np.float32]]] = {}
    with reproducible(1), inference(trained.model, device):
        for rows in loader.rows():
            auxiliary = trained.model(loader.read(rows)).auxiliary
            for name, part in auxiliary.items():
                if name.startswith(CONTRIBUTION):
                    collected.setdefault(name.removeprefix(CONTRIBUTION), []).append(part.float().cpu().numpy())
    return {name: np.concatenate(pieces) for name, pieces in collected.items()}


def log_odds(parts: Contributions, row: int, first: int, second: int) -> dict[str, float]:
    """Return what each part adds to the log-odds of one class against another, in nats.

    Args:
        parts: of :func:`contributions`, for classes.
        row: number of the utterance.
        first: code of the class for which positive numbers speak.
        second: code of the other class.

    Returns:
        By part; the sum is ``log(p_first / p_second)``.
    """
    return {name: float(part[row, first] - part[row, second]) for name, part in parts.items()}
