"""Class-related confounder of the training split: priors and prototypes of its strata."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema, Target
from lacuna.models.layers.head import BINS, strata_count
from lacuna.models.layers.pooling import pooled

_CELLS = 1 << 16  # cells of the histogram that the thirds are read from, so that no scores are stored


@dataclass(frozen=True)
class Strata:
    """Strata of a target: its classes, or low, middle and high scores with about equal counts.

    Attributes:
        target: target of the schema.
        low: smallest score of training.
        high: largest score of training.
        cuts: last histogram cell of each stratum but the highest; equal scores stay together, so a stratum can be empty.
    """

    target: Target
    low: float = 0.0
    high: float = 0.0
    cuts: tuple[int, ...] = ()

    @classmethod
    def of(cls, target: Target, batches: Callable[[], Iterable[Batch]]) -> Strata:
        """Return the strata of a target; the thirds of scores are read from the training batches."""
        if target.task != "regression":
            return cls(target)
        low, high = math.inf, -math.inf
        for scores in (b.label[b.labelled] for b in batches()):
            if len(scores):
                low, high = min(low, float(scores.min())), max(high, float(scores.max()))
        if low > high:
            return cls(target)
        strata = cls(target, low, high)
        counts = torch.zeros(_CELLS, dtype=torch.int64)
        for batch in batches():
            counts += torch.bincount(strata._cell(batch.label[batch.labelled].cpu()), minlength=_CELLS)
        cumulative = counts.cumsum(0)
        shares = torch.arange(1, BINS) / BINS * cumulative[-1]
        return cls(target, low, high, tuple(torch.searchsorted(cumulative, shares.ceil().long()).tolist()))

    def _cell(self, scores: Tensor) -> Tensor:
        spread = (self.high - self.low) or 1.0
        return ((scores.double() - self.low) / spread * _CELLS).long().clamp(0, _CELLS - 1)

    def weights(self, batch: Batch) -> Tensor:
        """Return the weight of each utterance in each stratum, (U, S) float64 on the CPU; rows of 0 for unlabelled ones.

        A soft label counts in all its classes with their probabilities.
        """
        known, label = batch.labelled.cpu(), batch.label.cpu()
        weights = torch.zeros(len(batch), strata_count(self.target), dtype=torch.float64)
        if self.target.task == "soft":
            weights[known] = label[known].double()
        elif self.target.task == "regression":
            cuts = torch.tensor(self.cuts, dtype=torch.int64)
            weights[known, torch.searchsorted(cuts, self._cell(label[known]))] = 1.0
        else:
            weights[known, label[known]] = 1.0
        return weights


class Typical:
    """Running sums for priors, prototypes and the mean score; the memory does not depend on the number of utterances.

    Args:
        schema: modalities and target.
    """

    def __init__(self, schema: Schema) -> None:
        strata, self._sizes = strata_count(schema.target), list(schema.dims.values())
        self._total = torch.zeros(strata, dtype=torch.float64)
        self._sums = torch.zeros(strata, sum(self._sizes), dtype=torch.float64)
        self._score, self._scored = 0.0, 0
        self._with = torch.zeros(strata, len(self._sizes), dtype=torch.float64)

    def add(self, batch: Batch, weights: Tensor) -> None:
        """Add a complete batch with its weights (U, S); the mean of an absent modality is 0 and adds nothing."""
        self._total += weights.sum(dim=0)
        if batch.label.is_floating_point() and batch.label.ndim == 1:
            scores = batch.label[batch.labelled].cpu().double()
            self._score, self._scored = self._score + float(scores.sum()), self._scored + len(scores)
        self._sums += weights.T @ pooled(batch).cpu().double()
        self._with += weights.T @ batch.available().cpu().double()

    @property
    def priors(self) -> Tensor:
        """Return (S,) shares of the labelled utterances; equal shares if there is none."""
        total = self._total if self._total.sum() > 0 else torch.ones_like(self._total)
        return total / total.sum()

    @property
    def centre(self) -> float:
        """Return the mean score of a regression target, else 0."""
        return self._score / max(1, self._scored)

    @property
    def prototypes(self) -> Tensor:
        """Return (S, sum of d_m): mean of the frame means over the utterances of a stratum that have the modality.

        If no utterance of a stratum has it, the mean over the other strata is used.
        """
        has_modality = self._with > 0  # (S, M)
        means = torch.split(self._sums, self._sizes, dim=1)
        filled = []
        for sums, count, known in zip(means, self._with.T, has_modality.T, strict=True):
            mean = sums / torch.where(known, count, 1.0).unsqueeze(1)
            mean_of_others = mean[known].mean(dim=0) if known.any() else mean[0]
            filled.append(torch.where(known.unsqueeze(1), mean, mean_of_others))
        return torch.cat(filled, dim=1)
