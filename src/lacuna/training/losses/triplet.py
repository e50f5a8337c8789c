"""The triplet loss with adaptive margin, on the hidden vectors of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from lacuna.corpus.schema import Schema, Target, Task
from lacuna.models.layers.triplet import adaptive_triplet
from lacuna.models.objective import Objective
from lacuna.training.losses.base import CLASSES, LabelCounts, Loss, register, shares_of

if TYPE_CHECKING:
    from lacuna.corpus.batch import Batch
    from lacuna.models import Prediction


class TripletObjective(Objective):
    """The plain loss, and the triplet loss of the hidden vectors.

    Args:
        target: classes or shares, of which the largest counts.
        settings: of the loss.
    """

    def __init__(self, target: Target, settings: Triplet) -> None:
        super().__init__(target)
        self.settings = settings

    def terms(self, prediction: Prediction, complete: Batch, observed: Batch) -> dict[str, Tensor]:
        """Return the triplet loss; see :meth:`Objective.terms`."""
        s = self.settings
        assert prediction.hidden is not None
        labelled, shares = shares_of(self.target, observed.label)
        known = labelled & observed.available().any(dim=1)
        return {"triplet": s.weight * adaptive_triplet(prediction.hidden, shares.argmax(dim=1), known, s.margin, s.slope)}


@register("triplet")
@dataclass(frozen=True)
class Triplet(Loss):
    """The plain loss, and the hardest triplets of each batch (:func:`lacuna.models.layers.triplet.adaptive_triplet`).

    The triplets are of the vectors that the last layer reads, so that utterances of one class are near each other whatever is
    missing. Utterances without any modality are in none.

    Attributes:
        weight: of the triplet loss.
        margin: smallest margin.
        slope: largest addition to the margin.
    """

    weight: float = 0.1
    margin: float = 0.2
    slope: float = 0.3
    source: ClassVar[str] = "M2FNet, arXiv 2206.02187 (the form of the margin is a reconstruction)"
    tasks: ClassVar[tuple[Task, ...]] = CLASSES
    reads_hidden: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check_bounds(weight=(0.0, 100.0), margin=(0.0, 2.0), slope=(0.0, 2.0))

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        return TripletObjective(counts.target, self)
