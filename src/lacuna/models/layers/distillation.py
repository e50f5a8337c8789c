"""Losses between the network on complete input (teacher) and on masked input (student)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.models.layers.attention import in_parts, scores

Heads = tuple[Tensor, Tensor]
_PART = 1 << 20  # numbers of an N x N tensor in one part: 4 MiB


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return one minus the cosine similarity of vectors (U, h) and (U, h), mean over the batch."""
    return (1 - functional.cosine_similarity(student, teacher, dim=1)).mean()


def attention_divergence(student: Heads, teacher: Heads, keys: Tensor, rows: Tensor, summed: bool = False) -> Tensor:
    """Return the KL divergence of the attention of the student from that of the teacher, mean over heads and rows.

    Both are compared on keys that the student has too, with renormalised weights of the teacher, because the student cannot
    attend to missing frames. The mean over rows does not grow with the length of the sequences; the published sum over rows
    does.

    Args:
        student: queries and keys, (U, H, N, e) each.
        teacher: queries and keys, without gradient.
        keys: (U, N) bool, keys that both have.
        rows: (U, N) bool, query positions that count.
        summed: sum over the rows of an utterance, as published, instead of the mean.

    Returns:
        A scalar.
    """

    def divergence(q: Tensor, k: Tensor, teacher_q: Tensor, teacher_k: Tensor, keys: Tensor) -> Tensor:
        student_log = scores(q, k, keys).log_softmax(dim=-1)  # (U, H, N, N)
        teacher_log = scores(teacher_q, teacher_k, keys).log_softmax(dim=-1)
        return functional.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(dim=-1).mean(dim=1)  # (U, N)

    q = student[0]
    divergences = in_parts(divergence, (*student, *teacher, keys), q.shape[1] * q.shape[2] ** 2, _PART)
    return (divergences * rows).sum() / (len(rows) if summed else rows.sum().clamp_min(1))


def missing_error(recovered: dict[str, Tensor], true: dict[str, Tensor], missing: dict[str, Tensor]) -> Tensor:
    """Return the smooth L1 error of standardised frames at hidden positions, mean over modalities.

    Args:
        recovered: by modality (U, T, d).
        true: by modality (U, T, d).
        missing: by modality (U, T) bool.

    Returns:
        A scalar; 0 if nothing is missing.
    """
    errors = []
    for name, hidden in missing.items():
        error = functional.smooth_l1_loss(recovered[name], true[name], reduction="none").mean(dim=-1)  # (U, T)
        errors.append((error * hidden).sum() / hidden.sum().clamp_min(1))
    return torch.stack(errors).mean()
