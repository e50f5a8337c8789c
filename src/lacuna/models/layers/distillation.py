"""Distances between what a network makes of the whole input (teacher) and of what is left of it (student)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.models.layers.attention import in_parts, scores

Heads = tuple[Tensor, Tensor]
_PART = 1 << 20  # numbers of an N x N tensor at once: 4 MiB


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of two vectors, mean over the batch: (U, h) and (U, h) -> scalar."""
    return (1 - functional.cosine_similarity(student, teacher, dim=1)).mean()


def attention_divergence(student: Heads, teacher: Heads, keys: Tensor, rows: Tensor, summed: bool = False) -> Tensor:
    """KL divergence of the student's attention from the teacher's, mean over heads and rows.

    Both are compared on the keys that the student can see too, the teacher's weights renormalised: the mass that the teacher
    puts on frames that are gone can be matched by nobody. The mean over rows keeps the scale from growing with the length of
    the sequences (the published sum over rows does).

    Args:
        student: queries and keys, (U, H, N, e) each.
        teacher: queries and keys, without gradient.
        keys: (U, N) bool, keys that both could read.
        rows: (U, N) bool, positions whose attention counts.
        summed: sum over the rows of an utterance, as published, instead of the mean.

    Returns:
        A scalar.
    """

    def divergence(q: Tensor, k: Tensor, theirs_q: Tensor, theirs_k: Tensor, keys: Tensor) -> Tensor:
        own = scores(q, k, keys).log_softmax(dim=-1)  # (U, H, N, N)
        theirs = scores(theirs_q, theirs_k, keys).log_softmax(dim=-1)
        return functional.kl_div(own, theirs, reduction="none", log_target=True).sum(dim=-1).mean(dim=1)  # (U, N)

    q = student[0]
    each = in_parts(divergence, (*student, *teacher, keys), q.shape[1] * q.shape[2] ** 2, _PART)
    return (each * rows).sum() / (len(rows) if summed else rows.sum().clamp_min(1))


def missing_error(recovered: dict[str, Tensor], true: dict[str, Tensor], missing: dict[str, Tensor]) -> Tensor:
    """Smooth L1 error of standardised frames at the positions that were there and are gone, mean over modalities.

    Args:
        recovered: by modality (U, T, d).
        true: by modality (U, T, d).
        missing: by modality (U, T) bool.

    Returns:
        A scalar; 0 if nothing is missing.
    """
    errors = []
    for name, gone in missing.items():
        each = functional.smooth_l1_loss(recovered[name], true[name], reduction="none").mean(dim=-1)  # (U, T)
        errors.append((each * gone).sum() / gone.sum().clamp_min(1))
    return torch.stack(errors).mean()
