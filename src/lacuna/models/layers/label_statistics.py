"""Class frequencies, or mean and spread, of the training labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Target


def label_statistics(target: Target, batches: Callable[[], Iterable[Batch]]) -> tuple[Tensor, Tensor]:
    """Return the answer that needs no features, and the scale of the labels.

    Args:
        target: target of the schema.
        batches: each call returns an iterator over the training batches.

    Returns:
        (C,) float64 logits of the class frequencies, with one pseudo-count for each class so that they are finite; or the mean
        label (1,) for regression. And () float64: the standard deviation of the labels for regression, 1 for classes, for labels
        that do not vary, and without labels.
    """
    total, squares, n_labelled = torch.zeros(target.width, dtype=torch.float64), 0.0, 0
    for batch in batches():
        label = batch.label[batch.labelled].cpu()
        n_labelled += len(label)
        if target.task == "classification":
            total += torch.bincount(label, minlength=target.width)
        else:
            total += label.reshape(len(label), target.width).sum(dim=0)  # (U,) | (U, C) -> (U, width)
            squares += float(label.double().square().sum())
    one = torch.ones((), dtype=torch.float64)
    if target.task != "regression":
        return torch.log((total + 1) / (n_labelled + target.width)), one
    mean = total / max(1, n_labelled)
    variance = squares / max(1, n_labelled) - mean.square().sum()
    return mean, variance.sqrt() if variance > 0 else one
