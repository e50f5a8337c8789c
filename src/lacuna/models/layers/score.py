"""Variance-exploding diffusion: noise that grows, a network that says where less of it is, and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.tokens import Seen

SIGMA = 25.0  # as published
LEAST_TIME = 1e-3


def spread_at(time: Tensor) -> Tensor:
    """Standard deviation of the noise of dx = sigma^t dw at a time in (0, 1]: from almost 0 to about 10."""
    return (torch.expm1(2 * math.log(SIGMA) * time) / (2 * math.log(SIGMA))).sqrt()


class ScoreNetwork(nn.Module):
    """E[x0 | x] of one modality's tokens, which is x + spread^2 times the score; every block reads them and the other modalities.

    Inputs and outputs are scaled so that both have unit variance at every level of noise (Karras et al., NeurIPS 2022, table 1);
    the published network divides by the spread alone, which leaves inputs of size 10.

    Args:
        inside: width of a token.
        widths: of the tokens of each other modality.
        hidden: width of the blocks.
        blocks: how many.
        heads: of their attention.
    """

    frequency: Tensor

    def __init__(self, inside: int, widths: Sequence[int], hidden: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inside + 1, hidden)
        self.others = nn.ModuleList(nn.Linear(width, hidden) for width in widths)
        self.register_buffer("frequency", torch.logspace(-0.5, 1.5, hidden // 2), persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * (hidden // 2), hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.blocks = nn.ModuleList(CrossModalReading(hidden, heads, 0.0) for _ in range(blocks))
        self.told = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, inside))

    def forward(self, noisy: Tensor, seen: Seen, modality: int, spread: Tensor) -> Tensor:
        """Clean tokens.

        Args:
            noisy: (R, L, inside).
            seen: what is observed.
            modality: whose tokens these are.
            spread: (R,) standard deviation of the noise.

        Returns:
            (R, L, inside).
        """
        s, here, asked = spread[:, None, None], seen.here[:, modality], seen.asked[:, modality]
        whole = (1 + s.square()).sqrt()
        x = torch.where(here.unsqueeze(2), seen.coded[modality], noisy / whole)
        angle = spread.log()[:, None] * self.frequency
        told = self.time(torch.cat([angle.sin(), angle.cos()], dim=1)).unsqueeze(1)  # (R, 1, hidden)
        place = sinusoids(x.shape[1], told.shape[2], x.device).to(x)
        x = self.enter(torch.cat([x, here.unsqueeze(2).to(x)], dim=2)) + place
        others = [m for m in range(len(seen.coded)) if m != modality]
        read = [layer(seen.coded[m]) + place for layer, m in zip(self.others, others, strict=True)]  # (R, L, hidden) each
        keys = torch.cat([here | asked, *(seen.here[:, m] for m in others)], dim=1)  # (R, M L)
        for block, add in zip(self.blocks, self.told, strict=True):
            x = x + add(told)
            x = block(x, torch.cat([x, *read], dim=1), keys)
        clean: Tensor = noisy / whole.square() + self.leave(x).float() * s / whole
        return clean


def flow_back(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Follow the probability flow from pure noise (Song et al., ICLR 2021, eq. 13), one Euler step a spread.

    Args:
        denoise: from a noisy tensor and the spread of its noise, a scalar, to the clean one.
        noise: where to start, of unit variance.
        steps: calls of ``denoise``, at times evenly from 1 on down; the last of them ends without noise.
    """
    spreads = spread_at(torch.linspace(1, LEAST_TIME, steps + 1, device=noise.device)[:-1])
    state = noise * spreads[0]
    for spread, low in zip(spreads, torch.cat([spreads[1:], spreads.new_zeros(1)]), strict=True):
        clean = denoise(state, spread)
        state = clean + low / spread * (state - clean)
    return state
