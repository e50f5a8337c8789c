"""Copies of training utterances with modalities hidden, for models that are fitted once and not by masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def kept_modalities(there: Tensor, chance: float, copies: int) -> list[Tensor]:
    """Return which modalities the utterances and their copies keep.

    Args:
        there: (N, M) bool, available modalities.
        chance: probability that a copy hides a modality; one of those available always stays.
        copies: how many.

    Returns:
        ``there`` and one (N, M) bool a copy, the same in every call.
    """
    generator = np.random.default_rng(0)
    kept = [there]
    for _ in range(copies):
        score = torch.from_numpy(generator.random(there.shape)).masked_fill(~there, -1)
        kept.append(there & ((score >= chance) | (score == score.amax(dim=1, keepdim=True))))
    return kept
