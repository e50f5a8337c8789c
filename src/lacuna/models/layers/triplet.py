"""Triplet loss with an adaptive margin."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def adaptive_triplet(vectors: Tensor, classes: Tensor, known: Tensor, margin: float, slope: float) -> Tensor:
    r"""Return the mean triplet loss of the hardest triplet of each anchor, a scalar; 0 if no anchor has a triplet.

    With Euclidean distances D of unit vectors, the farthest positive p and the nearest negative n of an anchor a,

    .. math:: \max(0, D_{ap} - D_{an} + m), \quad m = m_0 + k \, \sigma(D_{ap} - D_{an})

    The margin grows when the triplet is in the wrong order. It is a constant for the gradient.

    Args:
        vectors: (U, d).
        classes: (U,) int64.
        known: (U,) bool, utterances that have a vector and a class; the others are in no triplet.
        margin: m_0, smallest margin.
        slope: k, largest addition to it.
    """
    unit = functional.normalize(vectors.float(), dim=1)
    distance = (2 - 2 * unit @ unit.T).clamp_min(1e-12).sqrt()  # (U, U), with a finite gradient at 0
    both = known[:, None] & known
    same = (classes[:, None] == classes) & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    positive, negative = both & same, both & (classes[:, None] != classes)
    farthest = distance.where(positive, 0.0).amax(dim=1)  # (U,)
    nearest = distance.where(negative, 3.0).amin(dim=1)  # no distance of unit vectors is above 2
    anchors = positive.any(dim=1) & negative.any(dim=1)
    excess = farthest - nearest
    loss = (excess + margin + slope * torch.sigmoid(excess.detach())).clamp_min(0)
    return (loss * anchors).sum() / anchors.sum().clamp_min(1)
