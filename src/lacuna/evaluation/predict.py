"""Predictions of a trained recogniser, with or without a mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.batch import Batch
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.evaluation.past import Answer, answer_from_past
from lacuna.metrics.counts import Array, log_softmax
from lacuna.missing import Mask
from lacuna.models import Recognizer
from lacuna.training.loader import Loader
from lacuna.training.trained import TrainedRecognizer


@contextmanager
def inference(model: Recognizer, device: torch.device | str) -> Iterator[None]:
    """Put a model into evaluation mode without gradients, on a device; restore its modes and device at the end."""
    modes = {module: module.training for module in model.modules()}
    device_before = next((t.device for t in (*model.parameters(), *model.buffers())), None)
    model.to(device).eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if device_before is not None:
            model.to(device_before)
        for module, training in modes.items():
            module.training = training


def loader_of(trained: TrainedRecognizer, corpus: Corpus, batch_size: int, device: torch.device | str) -> Loader:
    """Return the loader of a corpus with the schema and the statistics of a recogniser.

    Raises:
        DataError: the corpus has no modality that the recogniser reads, or one of another width.
    """
    corpus.require(trained.schema)
    return Loader(corpus, trained.schema, trained.statistics, batch_size, trained.model.needs_dialogue, device)


def observe(batch: Batch, present: dict[str, NDArray[np.bool_]]) -> Batch:
    """Return the batch with the frames that a mask keeps; modalities that the model does not read are skipped.

    Args:
        batch: complete batch of U utterances.
        present: by modality (U, T_m) bool.
    """
    device = batch.dialogue.device
    return batch.observe({m: torch.from_numpy(p).to(device) for m, p in present.items() if m in batch.present})


def answer(model: Recognizer, batch: Batch) -> Answer:
    """Return the answer to a batch; call it inside :func:`inference`."""
    return Answer.of(model(batch))


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for N utterances, in the order of the corpus.

    Attributes:
        target: what was predicted.
        ids: N utterance ids.
        logits: (N, C) float32 logits, or (N, 1) values.
        available: (N, M) bool, whether the modality had an observed frame.
        modalities: M names, the columns of ``available``.
        spread: (N,) float32 standard deviation that the model gives each value, 1 if it gives none.
    """

    target: Target
    ids: list[str]
    logits: NDArray[np.float32]
    available: NDArray[np.bool_]
    modalities: tuple[str, ...]
    spread: NDArray[np.float32]

    @property
    def probabilities(self) -> Array:
        """(N, C) float64, rows sum to 1; empty (N, 0) for regression."""
        if self.target.task == "regression":
            return np.zeros((len(self.ids), 0))
        return np.exp(log_softmax(self.logits.astype(np.float64)))

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each utterance.

        Returns:
            Columns id; predicted, confidence and ``p_<class>`` of each class, or value; ``has_<modality>`` of each modality.
        """
        table: dict[str, object] = {"id": self.ids}
        if self.target.task == "regression":
            table["value"] = self.logits[:, 0]
        else:
            p = self.probabilities
            table["predicted"] = np.asarray(self.target.classes, dtype=object)[p.argmax(axis=1)]
            table["confidence"] = p.max(axis=1)
            table |= {f"p_{name}": p[:, c] for c, name in enumerate(self.target.classes)}
        table |= {f"has_{name}": self.available[:, m] for m, name in enumerate(self.modalities)}
        return pd.DataFrame(table)


def predict(
    trained: TrainedRecognizer,
    corpus: Corpus,
    mask: Mask | None = None,
    *,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    past_only: bool = False,
) -> Predictions:
    """Return the predictions of a recogniser for every utterance of a corpus, labelled or not.

    Args:
        trained: recogniser.
        corpus: may lack some modalities of the recogniser, but not all.
        mask: bound to this corpus; ``None`` = nothing is removed.
        batch_size: utterances in a forward pass; dialogues are kept whole for models that read them.
        device: where to compute.
        past_only: whether the answer at turn t is from turns 0 to t, see :mod:`lacuna.evaluation.past`.

    Returns:
        Predictions in the order of the corpus.

    Raises:
        DataError: the corpus does not fit the recogniser.
    """
    loader = loader_of(trained, corpus, batch_size, device)
    answers = [Answer(np.zeros((0, trained.schema.target.width), np.float32), np.zeros(0, np.float32))]
    available = [np.zeros((0, len(trained.schema.modalities)), np.bool_)]
    with inference(trained.model, device):
        for rows in loader.rows():
            batch = loader.read(rows)
            if mask is not None:
                batch = observe(batch, mask.present(rows))
            answers.append((answer_from_past if past_only else answer)(trained.model, batch))
            available.append(batch.available().cpu().numpy())
    logits, spread = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return Predictions(
        target=trained.schema.target,
        ids=corpus.ids,
        logits=logits,
        available=np.concatenate(available),
        modalities=tuple(trained.schema.dims),
        spread=spread,
    )
