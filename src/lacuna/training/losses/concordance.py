"""The concordance correlation as a loss of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lacuna.corpus.schema import Schema, Task
from lacuna.models.objective import Objective
from lacuna.training.losses.base import LabelCounts, Loss, register


class CccObjective(Objective):
    """1 - CCC over the labelled utterances of a batch; see :func:`ccc_loss`."""

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        return ccc_loss(logits.float().squeeze(-1), label)


@register("ccc")
@dataclass(frozen=True)
class Ccc(Loss):
    r"""Lin's concordance correlation coefficient as a loss, over the labelled utterances of each batch.

    :math:`L = 1 - 2 s_{xy} / (s_x^2 + s_y^2 + (m_x - m_y)^2)` with population variances. Batches should be large: the
    coefficient of few utterances says little.
    """

    source: ClassVar[str] = "Lin, Biometrics 1989; as a loss: Wagner et al., IEEE TPAMI 2023 (arXiv 2203.07378)"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        return CccObjective(counts.target)


def ccc_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Return 1 - CCC, a scalar between 0 and 2; 0 with zero gradient where it is undefined (all values equal, or none).

    Args:
        predicted: (U,) float.
        label: (U,) float; NaN = unlabelled.

    >>> round(float(ccc_loss(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 2.0, 3.0]))), 3)
    0.143
    """
    labelled = torch.isfinite(label)
    count = labelled.sum().clamp_min(1)
    truth = torch.nan_to_num(label)
    mean_p, mean_t = (predicted * labelled).sum() / count, (truth * labelled).sum() / count
    p, t = (predicted - mean_p) * labelled, (truth - mean_t) * labelled
    spread = (p * p).sum() / count + (t * t).sum() / count + (mean_p - mean_t).square()
    defined = spread > 0
    concordance = 2 * (p * t).sum() / count / torch.where(defined, spread, 1.0)
    return (1 - concordance) * defined
