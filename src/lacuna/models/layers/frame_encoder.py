"""From the observed frames of one modality to a vector that its weight of evidence is read from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.squash import Squash


class FrameEncoder(nn.Module):
    """Squash each frame, pass it through a linear branch and a two-layer branch, and average over the observed frames.

    The number n of observed frames scales every unit by ``softplus(u log n + v n^-1/2 + w)``: evidence grows with n and saturates
    with what the frames have in common. The linear maps after the nonlinearity commute with the mean and are applied after it.

    Args:
        dim: width of a frame.
        hidden: width H of the result.
        dropout: share of the averaged columns and hidden units dropped in training.
    """

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.squash = Squash(dim)
        self.linear = nn.Linear(dim, hidden)
        self.first = nn.Linear(dim, hidden)
        self.second = nn.Linear(hidden, hidden, bias=False)
        self.scale = nn.Linear(2, hidden)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.scale.weight)
        nn.init.constant_(self.scale.bias, math.log(math.e - 1))  # softplus of it is 1

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Encode the observed frames.

        Args:
            features: (..., T, d), any finite number where not present.
            present: (..., T) bool.

        Returns:
            (..., H), exactly zero where no frame is present.
        """
        keep = present.unsqueeze(-1).to(features.dtype)  # (..., T, 1)
        number = keep.sum(dim=-2)  # (..., 1)
        some = number.clamp_min(1)
        frames = self.squash(features * keep)  # (..., T, d)
        mean = (frames * keep).sum(dim=-2) / some  # (..., d)
        bent = (functional.gelu(self.first(frames)) * keep).sum(dim=-2) / some  # (..., H)
        encoded = self.linear(mean) + self.second(self.dropout(bent))
        counts = torch.cat([some.log(), some.rsqrt()], dim=-1)  # (..., 2)
        scaled: Tensor = encoded * functional.softplus(self.scale(counts)) * (number > 0)
        return scaled
