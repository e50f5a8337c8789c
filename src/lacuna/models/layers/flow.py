"""Normalising flows: an invertible map of a vector to one whose distribution is simple."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MOST = 2.0  # largest logarithm of a scale: one step changes a number at most by a factor of 7


class Coupling(nn.Module):
    """Scale and shift of every channel, a permutation, then scale and shift of half of them told by the others.

    Glow (Kingma and Dhariwal, NeurIPS 2018) with a fixed permutation. Published DiCMoR builds its permutations and never calls
    them, so that half of the channels pass through all couplings as they came.

    Args:
        width: channels, at least 2.
        hidden: units of the inner network.
        seed: of the permutation.
    """

    order: Tensor
    back: Tensor

    def __init__(self, width: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.kept = width // 2
        self.scale, self.shift = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        order = torch.randperm(width, generator=torch.Generator().manual_seed(seed))
        # Who was told tells now: what the last coupling moved comes first, so that two of them move every channel.
        order = torch.cat([order[order >= self.kept], order[order < self.kept]])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self.tell = nn.Sequential(nn.Linear(self.kept, hidden), nn.GELU(), nn.Linear(hidden, 2 * (width - self.kept)))
        nn.init.zeros_(self.tell[-1].weight)  # type: ignore[arg-type] # the identity at first
        nn.init.zeros_(self.tell[-1].bias)  # type: ignore[arg-type]

    def told(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the scale, and shift, of the other half."""
        scale, shift = self.tell(kept).float().chunk(2, dim=-1)
        return _MOST * torch.tanh(scale / _MOST), shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., W) -> (..., W) and (...,) the logarithm of how much it stretches."""
        scale = _MOST * torch.tanh(self.scale / _MOST)
        x = (x * scale.exp() + self.shift)[..., self.order]
        kept, moved = x[..., : self.kept], x[..., self.kept :]
        told, shift = self.told(kept)
        return torch.cat([kept, moved * told.exp() + shift], dim=-1), told.sum(dim=-1) + scale.sum()

    def inverse(self, z: Tensor) -> Tensor:
        """The way back."""
        kept, moved = z[..., : self.kept], z[..., self.kept :]
        told, shift = self.told(kept)
        x = torch.cat([kept, (moved - shift) * (-told).exp()], dim=-1)[..., self.back]
        return (x - self.shift) * (-_MOST * torch.tanh(self.scale / _MOST)).exp()


class Flow(nn.Module):
    """Couplings one after the other.

    Args:
        width: channels, at least 2.
        hidden: units of each coupling's network.
        couplings: how many.
    """

    def __init__(self, width: int, hidden: int, couplings: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(width, hidden, seed) for seed in range(couplings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., W) -> (..., W) and (...,) the logarithm of the determinant."""
        total = x.new_zeros(x.shape[:-1])
        for coupling in self.couplings:
            x, stretched = coupling(x)
            total = total + stretched
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """The way back."""
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)  # type: ignore[operator]
        return z
