"""What training minimises for the targets of a model; models reach it by :meth:`lacuna.models.Recognizer.task_loss`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Target

if TYPE_CHECKING:
    from lacuna.corpus.batch import Batch
    from lacuna.models.base import Prediction


def task_loss(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Return the mean loss of the labelled utterances: cross-entropy (hard or soft labels), or smooth L1 for regression.

    This is the loss without a setting. A model calls :meth:`lacuna.models.Recognizer.task_loss` instead, so that the setting
    ``loss`` of training applies to it.

    Args:
        target: target of the schema.
        logits: (U, C), or (U, 1) for regression.
        label: (U,) int64 classes, (U, C) float32 soft labels, or (U,) float32 values; -1 or NaN = unlabelled.

    Returns:
        A scalar; 0 with zero gradient if no utterance is labelled.
    """
    if target.task == "classification":
        labelled = label >= 0
        losses = functional.cross_entropy(logits, label.clamp_min(0), reduction="none")
    elif target.task == "soft":
        labelled = torch.isfinite(label).all(dim=1)
        losses = functional.cross_entropy(logits, torch.nan_to_num(label), reduction="none")
    else:
        labelled = torch.isfinite(label)
        losses = functional.smooth_l1_loss(logits.squeeze(-1), torch.nan_to_num(label), reduction="none")
    return (losses * labelled).sum() / labelled.sum().clamp_min(1)


class Objective(nn.Module):
    """Loss of one target; this base class is :func:`task_loss`.

    Training gives an objective to a model before its first update and takes it away after the last one, so a trained model does
    not contain it. What an objective computed from training labels is in buffers that are not saved.

    Args:
        target: what the logits predict.
        weight: of the loss of an auxiliary target; the main target has weight 1.
        others: objectives of the auxiliary targets, in the order of ``schema.auxiliary``.
    """

    def __init__(self, target: Target, weight: float = 1.0, others: Iterable[Objective] = ()) -> None:
        super().__init__()
        self.target, self.weight = target, weight
        self.others = nn.ModuleList(others)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar.

        Args:
            logits: (U, C), or (U, 1) for regression.
            label: (U,) int64 classes, (U, C) float32 soft labels, or (U,) float32 values; -1 or NaN = unlabelled.
        """
        return task_loss(self.target, logits, label)

    def terms(self, prediction: Prediction, complete: Batch, observed: Batch) -> dict[str, Tensor]:
        """Return further losses, scalars by name, which read the hidden vectors of a prediction.

        Args:
            prediction: of the observed batch, with hidden vectors.
            complete: everything that the corpus holds.
            observed: the same utterances under the training mask.
        """
        return {}
