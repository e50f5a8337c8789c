"""Conversion between frames and one vector for each utterance."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_exporting as exporting

from lacuna.corpus.batch import Batch


def masked_mean(features: Tensor, present: Tensor) -> Tensor:
    """Return the mean over observed frames, 0 if there is none.

    Args:
        features: (U, T, d), zero where absent.
        present: (U, T) bool.

    Returns:
        (U, d).
    """
    return features.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp_min(1)


def pooled(batch: Batch) -> Tensor:
    """Return the masked means of all modalities (U, sum of d_m), in the order of ``batch.features``."""
    return torch.cat([masked_mean(x, batch.present[m]) for m, x in batch.features.items()], dim=1)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which autocast is off on the device of ``x``.

    Recurrent networks need it too: on CUDA, autocast runs those of cuDNN in float16, also when bfloat16 is set.
    """
    return nullcontext() if exporting() else torch.autocast(x.device.type, enabled=False)


def fill_frames(batch: Batch, vectors: Tensor) -> dict[str, Tensor]:
    """Fill every missing frame with the recovered vector of its utterance.

    Args:
        batch: observed utterances.
        vectors: (U, sum of d_m) in the order of ``batch.features``.

    Returns:
        By modality (U, T_m, d_m): observed frames unchanged.
    """
    recovered, low = {}, 0
    for name, features in batch.features.items():
        high = low + features.shape[-1]
        filling = vectors[:, None, low:high].to(features.dtype)  # (U, 1, d)
        recovered[name] = torch.where(batch.present[name].unsqueeze(-1), features, filling)
        low = high
    return recovered
