"""The concordance correlation as a loss of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lacuna.corpus.schema import Schema, Task
from lacuna.models.layers.concordance import concordance_loss
from lacuna.models.objective import Objective
from lacuna.training.losses.base import LabelCounts, Loss, register


class CccObjective(Objective):
    """1 - CCC over the labelled utterances of a batch; see :func:`lacuna.models.layers.concordance.concordance_loss`."""

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the labelled utterances, a scalar; see :meth:`Objective.forward`."""
        return concordance_loss(logits.squeeze(-1), label)


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
