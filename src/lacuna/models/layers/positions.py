"""Position encodings."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoids(length: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return sinusoidal encodings (length, width) float32 of positions 0..length-1 (Vaswani et al., NeurIPS 2017, sec. 3.5).

    Args:
        length: number of positions.
        width: number of columns; the first half sines, the rest cosines.
        device: device of the result.
    """
    half = (width + 1) // 2
    frequency = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / max(1, half)))
    angle = torch.arange(length, device=device).unsqueeze(1) * frequency  # (length, half)
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]
