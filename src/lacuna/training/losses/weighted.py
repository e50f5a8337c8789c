"""Losses that weigh classes by how often they occur in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lacuna.corpus.schema import Schema, Target, Task
from lacuna.errors import ConfigError
from lacuna.models.objective import Objective
from lacuna.training.losses.base import CLASSES, LabelCounts, Loss, labelled_mean, register, shares_of


class WeightedObjective(Objective):
    r"""Mean of :math:`-\sum_c w_c y_c (1 - p_c)^\gamma \log p_c` over the labelled utterances.

    Args:
        target: classes or shares.
        weights: (C,) w.
        gamma: focus on utterances that are predicted badly; 0 = none.
    """

    weights: Tensor

    def __init__(self, target: Target, weights: Tensor, gamma: float = 0.0) -> None:
        super().__init__(target)
        self.gamma = gamma
        self.register_buffer("weights", weights.float(), persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        labelled, shares = shares_of(self.target, label)
        log_p = logits.float().log_softmax(dim=1)
        if self.gamma:
            # 1 - p is bounded below, because the gradient of x^gamma at 0 is infinite for gamma < 1.
            log_p = log_p * (1 - log_p.exp()).clamp_min(1e-6) ** self.gamma
        return labelled_mean(-(self.weights * shares * log_p).sum(dim=1), labelled)


@register("focal")
@dataclass(frozen=True)
class Focal(Loss):
    r"""Focal loss with inverse class priors as weights, :math:`L = -\mathrm{mean}\, w_y (1 - p_y)^\gamma \log p_y`.

    :math:`w_c = N / (C n_c)`, so the mean weight of a training utterance is 1. With shares the sum over classes is weighted by
    them. A class without training utterances has weight 0.

    Attributes:
        gamma: 0 = cross-entropy.
        prior: weigh by inverse priors; otherwise all weights are 1.
    """

    gamma: float = 2.0
    prior: bool = True
    source: ClassVar[str] = "Lin et al., ICCV 2017; with priors: Odyssey 2024 speech emotion challenge, arXiv 2405.20064"
    tasks: ClassVar[tuple[Task, ...]] = CLASSES

    def __post_init__(self) -> None:
        self._check_bounds(gamma=(0.0, 10.0))
        if not isinstance(self.prior, bool):
            raise ConfigError(f"loss 'focal': setting 'prior' must be true or false; found {self.prior!r}")

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        weights = prior_weights(counts) if self.prior else torch.ones(counts.target.width)
        return WeightedObjective(counts.target, weights, self.gamma)


@register("class_balanced")
@dataclass(frozen=True)
class ClassBalanced(Loss):
    r"""Cross-entropy weighted by the effective number of training utterances of each class.

    :math:`w_c = (1 - \beta) / (1 - \beta^{n_c})`, scaled to the sum C; an utterance has the weight :math:`\sum_c w_c y_c`. n_c
    counts the utterances with a share of the class above 1 / C. A class without training utterances has weight 0.

    Attributes:
        beta: in [0, 1); 0 = equal weights. ``None`` = (N - 1) / N.
    """

    beta: float | None = None
    source: ClassVar[str] = "Cui et al., CVPR 2019; for shares: Chou, arXiv 2510.05934"
    tasks: ClassVar[tuple[Task, ...]] = CLASSES

    def __post_init__(self) -> None:
        if self.beta is not None:
            self._check_bounds(beta=(0.0, 1 - 1e-12))

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        number = max(1, len(counts.shares))
        beta = (number - 1) / number if self.beta is None else self.beta
        n = counts.present.sum(dim=0).double()
        weights = torch.where(n > 0, (1 - beta) / (1 - beta ** n.clamp_min(1)), 0.0)
        return SampleWeighted(counts.target, weights * len(weights) / weights.sum().clamp_min(1e-12))


class SampleWeighted(WeightedObjective):
    """Mean cross-entropy of the labelled utterances, each with the mean weight of its classes by their shares."""

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        labelled, shares = shares_of(self.target, label)
        each = -(shares * logits.float().log_softmax(dim=1)).sum(dim=1)
        return labelled_mean(each * (shares @ self.weights), labelled)


def prior_weights(counts: LabelCounts) -> Tensor:
    """Return N / (C n_c) of each class, (C,) float64; 0 for a class that does not occur."""
    n = counts.shares.sum(dim=0)
    return torch.where(n > 0, n.sum() / (len(n) * n.clamp_min(1e-12)), 0.0)
