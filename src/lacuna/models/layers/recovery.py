"""What a model that recovers frames by regression is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.models.layers.pooling import masked_mean


def recovery_loss(vectors: Tensor, complete: Batch, observed: Batch) -> Tensor:
    """Squared error of one recovered vector an utterance, where frames were hidden and nowhere else (GCNet).

    Args:
        vectors: (U, sum of d_m) in the order of ``complete.features``.
        complete: what the corpus holds; what it lacks has no target.
        observed: the same through the mask.

    Returns:
        The sum over modalities of the mean over d_m, averaged over all utterances; the target is the mean of the hidden frames.
    """
    total, low = vectors.new_zeros(()), 0
    for name, features in complete.features.items():
        high = low + features.shape[-1]
        hidden = complete.present[name] & ~observed.present[name]  # (U, T)
        target = masked_mean(features * hidden.unsqueeze(-1), hidden)  # (U, d)
        error = (vectors[:, low:high] - target).square().mean(dim=1)
        total = total + (error * hidden.any(dim=1)).sum()
        low = high
    return total / max(1, len(vectors))


def with_presence(batch: Batch) -> Tensor:
    """(U, sum of d_m + M): frame means, zeros where nothing is observed, and presence bits.

    The weights of a bit are what a layer above learns to read in place of a missing modality.
    """
    means = [masked_mean(x, batch.present[m]) for m, x in batch.features.items()]
    return torch.cat([*means, batch.available().to(means[0].dtype)], dim=1)
