"""Loss of one network with targets of different kinds, each with its own head, and distillation from a teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.corpus.schema import Target
from lacuna.models.objective import task_loss


def distillation_loss(target: Target, student: Tensor, teacher: Tensor) -> Tensor:
    """Return the distance of the student from the teacher, a scalar, mean over the utterances; labels are not read.

    Args:
        target: for classes and soft labels the distance is the KL divergence of the student from the teacher; for values it is
            the squared error.
        student: (U, C) logits, or (U, 1) values.
        teacher: (U, C) logits, or (U, 1) values, without gradient.
    """
    if target.task == "regression":
        return functional.mse_loss(student, teacher)
    student_log, teacher_log = student.log_softmax(dim=1), teacher.log_softmax(dim=1)
    return functional.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def mixed_loss(
    targets: Sequence[Target],
    outputs: Sequence[Tensor],
    labels: Sequence[Tensor],
    teacher: Sequence[Tensor] = (),
    share: float = 0.0,
    *,
    main_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return the task loss and the distillation loss, each summed over the targets.

    Args:
        targets: of any kinds.
        outputs: one (U, C) of logits or (U, 1) of values for each target.
        labels: one for each target, see :func:`~lacuna.models.objective.task_loss`. A target without labels in the batch adds
            nothing, so its head gets no gradient from the labels.
        teacher: outputs of the teacher, one for each target, without gradient; empty = no teacher.
        share: weight of the distillation, 0 to 1; the task loss has the rest. Without a teacher it is not read.
        main_loss: of the first target, from its outputs and labels; ``None`` = that of its kind.
    """
    losses: list[Callable[[Tensor, Tensor], Tensor]] = [partial(task_loss, target) for target in targets]
    losses[:1] = losses[:1] if main_loss is None else [main_loss]
    task = torch.stack([loss(output.float(), label) for loss, output, label in zip(losses, outputs, labels, strict=True)]).sum()
    if not teacher:
        return {"task": task}
    compared = zip(targets, outputs, teacher, strict=True)
    distances = torch.stack([distillation_loss(target, output.float(), other.float()) for target, output, other in compared])
    return {"task": (1 - share) * task, "distillation": share * distances.sum()}
