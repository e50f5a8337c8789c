"""Contrastive losses between the vectors of two modalities; utterances that lack one of them are left out."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.models.layers.attention import GONE


def cosine_distance(x: Tensor, y: Tensor, both: Tensor) -> Tensor:
    """Return the mean of 1 - cos(x_i, y_i), a scalar; 0 if no utterance has both modalities.

    Args:
        x: (U, d).
        y: (U, d).
        both: (U,) bool, the utterance has both modalities.
    """
    distance = 1 - functional.cosine_similarity(x, y, dim=1)
    return (distance * both).sum() / both.sum().clamp_min(1)


def info_nce(x: Tensor, y: Tensor, both: Tensor, temperature: float) -> Tensor:
    """Return the symmetric InfoNCE loss (van den Oord et al., arXiv 1807.03748), a scalar.

    The two vectors of an utterance are the positive pair; the vectors of the other utterances of the batch are the negatives.

    Args:
        x: (U, d).
        y: (U, d).
        both: (U,) bool, the utterance has both modalities; the others are neither positive nor negative.
        temperature: divisor of the cosines.
    """
    cosine = functional.normalize(x.float(), dim=1) @ functional.normalize(y.float(), dim=1).T / temperature  # (U, U)
    logits = cosine.masked_fill(~(both[:, None] & both), GONE)
    positive = cosine.diagonal()
    loss = (torch.logsumexp(logits, dim=1) + torch.logsumexp(logits, dim=0)) / 2 - positive  # (U,)
    return loss.where(both, 0.0).sum() / both.sum().clamp_min(1)


def pairwise_info_nce(vectors: Tensor, available: Tensor, temperature: float) -> Tensor:
    """Return the mean InfoNCE loss over the pairs of modalities (MPUC: Franceschini et al., ICPR 2022), a scalar.

    An utterance that lacks a member of a pair is left out of that pair. A pair that no utterance of the batch has is left out of
    the mean; without any pair the loss is 0.

    Args:
        vectors: (U, M, d).
        available: (U, M) bool.
        temperature: divisor of the cosines.
    """
    total, n_pairs = 0 * vectors.float().sum(), torch.zeros((), device=vectors.device)
    for i, j in combinations(range(available.shape[1]), 2):
        both = available[:, i] & available[:, j]
        total = total + info_nce(vectors[:, i], vectors[:, j], both, temperature)
        n_pairs = n_pairs + both.any()
    return total / n_pairs.clamp_min(1)
