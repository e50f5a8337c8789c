"""From frames to one vector an utterance, and back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch


def masked_mean(features: Tensor, present: Tensor) -> Tensor:
    """Mean over observed frames, 0 where there is none.

    Args:
        features: (U, T, d), zero where absent.
        present: (U, T) bool.

    Returns:
        (U, d).
    """
    return features.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp_min(1)


def pooled(batch: Batch) -> Tensor:
    """The masked means of all modalities side by side: (U, sum of d_m), in the order of ``batch.features``."""
    return torch.cat([masked_mean(x, batch.present[m]) for m, x in batch.features.items()], dim=1)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Context in which autocast does not round products on the device of ``x``.

    Recurrent networks need it too: on CUDA, autocast runs those of cuDNN in float16, whatever it was asked for.
    """
    return torch.autocast(x.device.type, enabled=False)


def fill_frames(batch: Batch, vectors: Tensor) -> dict[str, Tensor]:
    """Put one recovered vector an utterance into every frame that was not observed.

    Args:
        batch: what was observed.
        vectors: (U, sum of d_m) in the order of ``batch.features``.

    Returns:
        By modality (U, T_m, d_m): observed frames bit for bit as they came.
    """
    recovered, low = {}, 0
    for name, features in batch.features.items():
        high = low + features.shape[-1]
        filling = vectors[:, None, low:high].to(features.dtype)  # (U, 1, d)
        recovered[name] = torch.where(batch.present[name].unsqueeze(-1), features, filling)
        low = high
    return recovered
