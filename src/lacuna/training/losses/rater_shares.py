"""Losses for shares of ratings: labels of the majority alone, and a penalty of implausible pairs of emotions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lacuna.corpus.schema import Schema, Target, Task
from lacuna.models.objective import Objective
from lacuna.training.losses.base import LabelCounts, Loss, labelled_mean, register, shares_of


class MajorityObjective(Objective):
    """Cross-entropy of the class with the largest share; utterances without a single largest share are unlabelled."""

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        labelled, shares = shares_of(self.target, label)
        largest = shares.amax(dim=1, keepdim=True)
        agreed = labelled & ((shares == largest).sum(dim=1) == 1)
        each = -logits.float().log_softmax(dim=1).gather(1, shares.argmax(dim=1, keepdim=True)).squeeze(1)  # (U, 1) -> (U,)
        return labelled_mean(each, agreed)


@register("majority")
@dataclass(frozen=True)
class Majority(Loss):
    """Hard labels made of shares by the majority rule: what the all-inclusive rule (``plain``) is compared with.

    An utterance without a single largest share ("no agreement") has no label in training.
    """

    source: ClassVar[str] = "majority rule, as described in Chou, arXiv 2510.05934"
    tasks: ClassVar[tuple[Task, ...]] = ("soft",)

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        return MajorityObjective(counts.target)


class PenalisedObjective(Objective):
    r"""Cross-entropy against shares, and :math:`\lambda \, \mathrm{mean}_u \sum_{ij} y_i M_{ij} p_j`.

    Args:
        target: shares.
        matrix: (C, C) M.
        penalty: lambda.
    """

    matrix: Tensor

    def __init__(self, target: Target, matrix: Tensor, penalty: float) -> None:
        super().__init__(target)
        self.penalty = penalty
        self.register_buffer("matrix", matrix.float(), persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        labelled, shares = shares_of(self.target, label)
        implausible = ((shares @ self.matrix) * logits.float().softmax(dim=1)).sum(dim=1)
        return super().forward(logits, label) + self.penalty * labelled_mean(implausible, labelled)


@register("penalisation")
@dataclass(frozen=True)
class Penalisation(Loss):
    r"""Cross-entropy against shares, and the expected mass on emotions that rarely occur together with the rated ones.

    :math:`K_{ij} = P(j \text{ present} \mid i \text{ present})` in training, where a class is present with a share above 1 / C;
    :math:`M_{ij} = 1 - K_{ij}`, 0 on the diagonal, each row divided by its largest value. The abstract of the source describes
    the penalty; this formula was decided here. The row of a class that is never present is 0.

    Attributes:
        penalty: lambda, weight of the penalty.
    """

    penalty: float = 0.5
    source: ClassVar[str] = "Chou, arXiv 2510.05934 (reconstruction)"
    tasks: ClassVar[tuple[Task, ...]] = ("soft",)

    def __post_init__(self) -> None:
        self._check_bounds(penalty=(0.0, 100.0))

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        return PenalisedObjective(counts.target, penalisation_matrix(counts.present), self.penalty)


def penalisation_matrix(present: Tensor) -> Tensor:
    """Return (C, C) float64: how implausible class j is beside class i, from (N, C) bool, the classes present in each utterance.

    >>> penalisation_matrix(torch.tensor([[True, True, False], [True, False, False]])).tolist()
    [[0.0, 0.5, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    n = present.double()
    together, alone = n.T @ n, n.sum(dim=0)
    matrix = torch.where(alone.unsqueeze(1) > 0, 1 - together / alone.clamp_min(1).unsqueeze(1), 0.0).fill_diagonal_(0.0)
    return matrix / matrix.amax(dim=1, keepdim=True).clamp_min(1e-12)
