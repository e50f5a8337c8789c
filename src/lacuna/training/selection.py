"""The validation metric: what weights are selected by, a function of additive counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Target
from lacuna.errors import TrainingError
from lacuna.metrics.scores import ccc_of, primary, weighted_f1_of
from lacuna.missing import Mask
from lacuna.models import Recognizer, task_loss
from lacuna.models.layers.added_modality import MOST, losses_of
from lacuna.training.loader import Loader


def metric_name(target: Target) -> str:
    """Return the metric that selects weights, the primary metric of evaluation; larger is better."""
    return primary(target)


@dataclass(eq=False)
class Tally:
    """Sums over labelled utterances from which the metric and the loss follow.

    Attributes:
        target: what is predicted; of a soft label the largest class counts.
        confusion: (C, C) counts, true class by predicted class.
        moments: (6,) float64: n, sums of y, p, y*y, p*p, y*p of a regression target, about the middle of its scale.
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
            low, high = self.target.low, self.target.high
            middle = 0.0 if low is None or high is None else (low + high) / 2
            y, p = label.double().cpu().numpy() - middle, logits.squeeze(-1).double().cpu().numpy() - middle
            self.moments += [len(y), y.sum(), p.sum(), y @ y, p @ p, y @ p]
            return
        true = label if self.target.task == "classification" else label.argmax(dim=1)
        cell = true * self.target.width + logits.argmax(dim=1)
        counts = np.bincount(cell.cpu().numpy(), minlength=self.confusion.size)
        self.confusion += counts.reshape(self.confusion.shape)  # (C * C,) -> (C, C)

    @property
    def metric(self) -> float:
        """Weighted F1, or the concordance correlation, by the functions of evaluation; 0 where it is undefined."""
        value = ccc_of(self.moments) if self.target.task == "regression" else weighted_f1_of(self.confusion)
        return float(np.nan_to_num(value))


def observed(loader: Loader, masks: Sequence[Mask]) -> Iterator[tuple[Batch, int]]:
    """Every validation batch under every mask, with the number of the mask; each batch is read once."""
    for rows in loader.rows():
        complete = loader.read(rows)
        for number, mask in enumerate(masks):
            present = {m: torch.from_numpy(p).to(loader.device) for m, p in mask.present(rows).items()}
            yield complete.observe(present), number


def tallied(model: Recognizer, loader: Loader, masks: Sequence[Mask], cast: AbstractContextManager[Any]) -> list[Tally]:
    """What a model answers on the validation split, counted by mask.

    Args:
        model: put into evaluation mode.
        loader: of the validation split.
        masks: bound to that split.
        cast: context of the forward passes.

    Raises:
        TrainingError: an answer is not finite; it carries the ids of all such utterances of the batch.
    """
    model.eval()
    tallies = [Tally(loader.schema.target) for _ in masks]
    with torch.no_grad():
        for batch, number in observed(loader, masks):
            with cast:
                logits = model(batch).logits
            logits = logits.float()
            if not bool(torch.isfinite(logits).all()):
                rows_bad = (~torch.isfinite(logits)).any(dim=1).nonzero().squeeze(1).tolist()  # (K, 1) -> (K,)
                bad = [batch.ids[row] for row in rows_bad]
                raise TrainingError(
                    f"model '{model.name}' answers validation utterance '{bad[0]}' with NaN or inf"
                    f"{f', and {len(bad) - 1} more of its batch' if len(bad) > 1 else ''}; the weights are not kept",
                    bad,
                    {"stage": "validation", "losses": {}},
                )
            tallies[number].add(logits, batch.label, batch.labelled)
    return tallies


def validate(model: Recognizer, loader: Loader, masks: Sequence[Mask], cast: AbstractContextManager[Any]) -> tuple[float, float]:
    """Metric and task loss on the validation split, each averaged over the fixed masks.

    Args:
        model: put into evaluation mode.
        loader: of the validation split.
        masks: bound to that split.
        cast: context of the forward passes.

    Raises:
        TrainingError: an answer (see :func:`tallied`) or the loss is not finite.
    """
    tallies = tallied(model, loader, masks, cast)
    loss = float(np.mean([t.loss / max(1, t.labelled) for t in tallies]))
    if not math.isfinite(loss):
        raise TrainingError(f"the validation loss of model '{model.name}' is {loss}; lower learning_rate or set clip_norm")
    return float(np.mean([t.metric for t in tallies])), loss


def subset_losses(model: Recognizer, loader: Loader, cast: AbstractContextManager[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss of every labelled utterance if the whole split has a set of modalities alone, for each set.

    Args:
        model: in evaluation mode.
        loader: of the validation split.
        cast: context of the forward passes.

    Returns:
        (N, P) losses by set of modalities; (N, M) bool, modalities that the utterance has; (N,) int64 dialogue codes.
    """
    names, parts = list(loader.schema.dims), []
    with torch.no_grad(), cast:
        for rows in loader.rows():
            complete = loader.read(rows)
            known, by_set = complete.labelled, []
            for code in range(2 ** len(names)):
                kept = {m: torch.full_like(complete.present[m], bool(code >> i & 1)) for i, m in enumerate(names)}
                logits = model(complete.observe(kept)).logits.float()[known]
                by_set.append(losses_of(loader.schema.target, logits, complete.label[known]))
            parts.append((torch.stack(by_set, dim=1), complete.available()[known], complete.dialogue[known]))
    losses, had, dialogue = (torch.cat(part) for part in zip(*parts, strict=True))
    return losses, had, dialogue


def settle(model: Recognizer, loader: Loader, masks: Sequence[Mask], cast: AbstractContextManager[Any]) -> None:
    """Let a model choose on validation what gradient descent does not, and fit its prediction sets and gains of modalities.

    Args:
        model: with its best weights; put into evaluation mode.
        loader: of the validation split.
        masks: bound to that split.
        cast: context of the forward passes.
    """

    def metric(logits: Iterable[Tensor]) -> float:
        tallies = [Tally(loader.schema.target) for _ in masks]
        for (number, label, known), answers in zip(labels, logits, strict=True):
            tallies[number].add(answers.float(), label, known)
        return float(np.mean([t.metric for t in tallies]))

    model.eval()
    with torch.no_grad(), cast:
        labels = [(number, batch.label, batch.labelled) for batch, number in observed(loader, masks)]
        model.settle(lambda: (batch for batch, _ in observed(loader, masks)), metric)
        answered = []
        for batch, _ in observed(loader, masks):
            prediction = model(batch)
            parts = prediction.logits.float(), batch.label, batch.available(), batch.dialogue, prediction.spread
            answered.append([part[batch.labelled] for part in parts])
    if answered:
        *known, spread = (torch.cat(parts) for parts in zip(*answered, strict=True))
        model.sureness.fit(loader.schema.target, *known, spread=spread)
    if answered and len(loader.schema.dims) <= MOST:
        model.sureness.added.fit(*subset_losses(model, loader, cast))
