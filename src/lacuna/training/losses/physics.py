"""A physics-informed loss: the course of skin conductance must obey an equation that the predicted emotion drives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Schema, Target, Task
from lacuna.errors import ConfigError, suggestion
from lacuna.models.objective import Objective
from lacuna.training.losses.base import CLASSES, LabelCounts, Loss, labelled_mean, register

if TYPE_CHECKING:
    from lacuna.corpus.batch import Batch
    from lacuna.models import Prediction

HIDDEN = 32  # units of the network of the course


class PhysicsObjective(Objective):
    """The plain loss, the error of the course E(t), and the squared residual of its equation.

    E(t) is a network of the hidden vector of the utterance and the time. Its frames in the complete data are the truth, also
    where the training mask hides them.

    Args:
        target: classes or shares.
        settings: of the loss.
        hidden_width: units of the hidden vectors.
    """

    def __init__(self, target: Target, settings: Physics, hidden_width: int) -> None:
        super().__init__(target)
        self.settings = settings
        self.course = nn.Sequential(nn.Linear(hidden_width + 1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        self.decay, self.rate = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.drive = nn.Parameter(torch.zeros(target.width))

    def terms(self, prediction: Prediction, complete: Batch, observed: Batch) -> dict[str, Tensor]:
        """Return the error and the residual; see :meth:`Objective.terms`."""
        s, hidden = self.settings, prediction.hidden
        assert hidden is not None
        truth, present = complete.features[s.modality][..., s.column], complete.present[s.modality]  # (U, T)
        time = torch.arange(truth.shape[1], device=truth.device, dtype=torch.float32) / s.frames
        with torch.autocast(truth.device.type, enabled=False):
            level, slope = self._course(hidden.float(), time.expand_as(truth))
            drive = prediction.logits.float().softmax(dim=1) @ self.drive  # (U,)
            decay, rate = functional.softplus(self.decay), functional.softplus(self.rate)
            wrong = residual(level, slope, drive.unsqueeze(1), decay, rate)
        known = present.flatten()  # (U, T) -> (U T,)
        return {
            "course": s.course * labelled_mean((level - truth).square().flatten(), known),
            "residual": s.residual * labelled_mean(wrong.square().flatten(), known),
        }

    def _course(self, hidden: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return E(t) and its derivative, (U, T) each, from hidden vectors (U, H) and times (U, T)."""
        first, last = self.course[0], self.course[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        of_hidden = functional.linear(hidden, first.weight[:, :-1], first.bias).unsqueeze(1)  # (U, 1, 32)
        units = torch.tanh(of_hidden + time.unsqueeze(2) * first.weight[:, -1])  # (U, T, 32)
        level = functional.linear(units, last.weight, last.bias).squeeze(2)  # (U, T, 1) -> (U, T)
        slope = ((1 - units.square()) * first.weight[:, -1]) @ last.weight[0]  # the chain rule; (U, T)
        return level, slope


@register("physics")
@dataclass(frozen=True)
class Physics(Loss):
    r"""The plain loss, the error of the course of skin conductance (EDA), and the residual of a first-order equation.

    :math:`R = dE/dt - \gamma (-\alpha E + \beta^\top s)` with the predicted class probabilities s as drive,
    :math:`L = L_{\text{plain}} + a \, \mathrm{mean} (E - \hat E)^2 + \lambda \, \mathrm{mean} R^2`. Alpha, beta and gamma are
    learned, alpha and gamma positive (softplus). Beta may be negative, because E is standardised. The exact published right-hand
    side is not known to us; the form is decided here.

    Attributes:
        modality: name of the modality with the signal.
        column: which of its columns.
        frames: frames in one unit of time.
        course: a, weight of the error.
        residual: lambda, weight of the residual.
    """

    modality: str = "eda"
    column: int = 0
    frames: int = 16
    course: float = 1.0
    residual: float = 0.1
    source: ClassVar[str] = "Physics-informed multitask learning on WESAD, arXiv 2505.18169 (reconstruction)"
    tasks: ClassVar[tuple[Task, ...]] = CLASSES
    reads_hidden: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check_bounds(column=(0, 10**6), frames=(1, 10**6), course=(0.0, 1000.0), residual=(0.0, 1000.0))

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        width = schema.dims.get(self.modality)
        if width is None or self.column >= width:
            known = ", ".join(f"{name} ({dim} columns)" for name, dim in schema.dims.items())
            hint = suggestion(self.modality, list(schema.dims)) if width is None else ""
            raise ConfigError(
                f"loss 'physics' needs column {self.column} of a modality {self.modality!r}{hint}; found: {known}; "
                "do: set its modality and column"
            )
        return PhysicsObjective(counts.target, self, hidden_width)


def residual(level: Tensor, slope: Tensor, drive: Tensor, decay: Tensor, rate: Tensor) -> Tensor:
    r"""Return :math:`dE/dt - \gamma (-\alpha E + \beta^\top s)`; 0 where a course obeys the equation.

    Args:
        level: E, of any shape.
        slope: dE/dt.
        drive: beta^T s.
        decay: alpha.
        rate: gamma.
    """
    return slope - rate * (drive - decay * level)
