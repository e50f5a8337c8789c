"""The validation metric: what weights are selected by, a function of additive counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.schema import Target
from lacuna.errors import TrainingError
from lacuna.missing import Mask
from lacuna.models import Recognizer, task_loss
from lacuna.training.loader import Loader


def metric_name(target: Target) -> str:
    """``ccc`` for a regression target, ``weighted_f1`` for classes and soft labels; larger is better."""
    return "ccc" if target.task == "regression" else "weighted_f1"


@dataclass(eq=False)
class Tally:
    """Sums over labelled utterances from which the metric and the loss follow.

    Attributes:
        target: what is predicted; of a soft label the largest class counts.
        confusion: (C, C) counts, true class by predicted class.
        moments: (6,) float64: n, sums of y, p, y*y, p*p, y*p of a regression target.
        loss: sum of the task loss, and ``labelled`` the number of utterances in it.
    """

    target: Target
    confusion: NDArray[np.int64] = field(init=False)
    moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    loss: float = 0.0
    labelled: int = 0

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.target.width, self.target.width), np.int64)

    def add(self, logits: Tensor, label: Tensor, known: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (U, C) or (U, 1).
            label: (U,) int64 | (U, C) float32 | (U,) float32.
            known: (U,) bool, labelled.
        """
        logits, label = logits[known], label[known]
        if not len(label):
            return
        self.loss += float(task_loss(self.target, logits, label)) * len(label)
        self.labelled += len(label)
        if self.target.task == "regression":
            y, p = label.double().cpu().numpy(), logits.squeeze(-1).double().cpu().numpy()
            self.moments += [len(y), y.sum(), p.sum(), y @ y, p @ p, y @ p]
            return
        true = label if self.target.task == "classification" else label.argmax(dim=1)
        cell = true * self.target.width + logits.argmax(dim=1)
        counts = np.bincount(cell.cpu().numpy(), minlength=self.confusion.size)
        self.confusion += counts.reshape(self.confusion.shape)  # (C * C,) -> (C, C)

    @property
    def metric(self) -> float:
        """Weighted F1, or the concordance correlation; 0 where it is undefined."""
        if self.target.task == "regression":
            return concordance(self.moments)
        return weighted_f1(self.confusion)


def weighted_f1(confusion: NDArray[np.int64]) -> float:
    """F1 of each class weighted by how often it is true.

    Args:
        confusion: (C, C) counts, true class by predicted class.
    """
    hits, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * hits / np.maximum(1, true + predicted)
    return float((f1 * true).sum() / max(1, true.sum()))


def concordance(moments: NDArray[np.float64]) -> float:
    """Lin's concordance correlation of truth and prediction.

    Args:
        moments: (6,) n, sums of y, p, y*y, p*p, y*p.
    """
    n, y, p, yy, pp, yp = (float(m) for m in moments)
    if not n:
        return 0.0
    spread = (yy - y * y / n) + (pp - p * p / n) + (y - p) ** 2 / n
    return 2 * (yp - y * p / n) / spread if spread > 0 else 0.0


def validate(model: Recognizer, loader: Loader, masks: Sequence[Mask], cast: AbstractContextManager[Any]) -> tuple[float, float]:
    """Metric and task loss on the validation split, each averaged over the fixed masks.

    Args:
        model: put into evaluation mode.
        loader: of the validation split.
        masks: bound to that split.
        cast: context of the forward passes.

    Raises:
        TrainingError: an answer or the loss is not finite.
    """
    model.eval()
    tallies = [Tally(loader.schema.target) for _ in masks]
    with torch.no_grad():
        for rows in loader.rows():
            complete = loader.read(rows)
            known = complete.labelled
            for mask, tally in zip(masks, tallies, strict=True):
                present = {m: torch.from_numpy(p).to(loader.device) for m, p in mask.present(rows).items()}
                with cast:
                    logits = model(complete.observe(present)).logits
                logits = logits.float()
                if not bool(torch.isfinite(logits).all()):
                    bad = complete.ids[int((~torch.isfinite(logits)).any(dim=1).nonzero()[0])]
                    raise TrainingError(
                        f"model '{model.name}' answers validation utterance '{bad}' with NaN or inf; the weights are not kept"
                    )
                tally.add(logits, complete.label, known)
    loss = float(np.mean([t.loss / max(1, t.labelled) for t in tallies]))
    if not math.isfinite(loss):
        raise TrainingError(f"the validation loss of model '{model.name}' is {loss}; lower learning_rate or set clip_norm")
    return float(np.mean([t.metric for t in tallies])), loss
