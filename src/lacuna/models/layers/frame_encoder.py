"""From the observed frames of one modality to a vector that its weight of evidence is read from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting as exporting
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
        some = present.sum(dim=-1, keepdim=True).clamp_min(1).to(features.dtype)  # (..., 1)
        frames, average = _padded(features, present) if exporting() else _observed(features, present)
        frames = self.squash(frames)  # (F, d), or (..., T, d)
        mean = average(frames) / some  # (..., d)
        bent = average(functional.gelu(self.first(frames))) / some  # (..., H)
        encoded = self.linear(mean) + self.second(self.dropout(bent))
        counts = torch.cat([some.log(), some.rsqrt()], dim=-1)  # (..., 2)
        scaled: Tensor = encoded * functional.softplus(self.scale(counts)) * present.any(dim=-1, keepdim=True)
        return scaled


def _observed(features: Tensor, present: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The observed frames alone (F, d), and what adds up values of them (F, H) by utterance: (..., H)."""
    rows = present.flatten().nonzero().squeeze(1)
    owner = torch.div(rows, present.shape[-1], rounding_mode="floor")

    def total(values: Tensor) -> Tensor:
        flat = values.new_zeros(present.shape[:-1].numel(), values.shape[-1])
        return flat.index_add(0, owner, values).reshape(*present.shape[:-1], -1)  # (U, H) -> (..., H)

    return features.flatten(0, -2)[rows], total


def _padded(features: Tensor, present: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The same in shapes that depend on no values, for exported graphs; in training it takes twice as long."""
    keep = present.unsqueeze(-1)  # (..., T, 1)
    return features * keep, lambda values: (values * keep).sum(dim=-2)
