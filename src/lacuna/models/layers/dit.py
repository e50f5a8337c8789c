"""Transformer denoisers conditioned on noise level and observed modalities by adaptive layer norm (adaLN-Zero)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.diffusion import TimeEmbedding
from lacuna.models.layers.positions import sinusoids


class SelfAttention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: d, a multiple of ``heads``.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """Return (R, L, d) from tokens (R, L, d) and keys (R, L) bool; a row without keys gets zeros."""
        r, length, d = x.shape
        q, k, v = (
            self.qkv(x).view(r, length, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        )  # (R, L, 3 d) -> each (R, H, L, e)
        no_keys = ~keys.any(dim=1)
        mask = (keys | no_keys[:, None])[:, None, None]  # no empty softmax
        read = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).masked_fill(no_keys[:, None, None, None], 0)
        return self.out(read.transpose(1, 2).flatten(2))  # type: ignore[no-any-return] # (R, H, L, e) -> (R, L, d)


class Block(nn.Module):
    """Transformer block with adaLN-Zero (Peebles and Xie, ICCV 2023); without heads, a residual MLP with adaLN-Zero.

    Args:
        width: d.
        heads: number of heads; 0 = no attention, for single vectors.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads) if heads else None
        parts = 6 if heads else 3
        self.told = nn.Linear(width, parts * width)  # scale, shift and gate from the condition
        nn.init.zeros_(self.told.weight)  # every block starts as the identity
        nn.init.zeros_(self.told.bias)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, condition: Tensor, keys: Tensor) -> Tensor:
        """Return (R, L, d) from tokens (R, L, d), condition (R, d) and keys (R, L) bool."""
        parts = self.told(functional.silu(condition)).unsqueeze(1).chunk(6 if self.attention else 3, dim=-1)  # (R, 1, d) each
        if self.attention is not None:
            x = x + parts[5] * self.attention(modulated(x, parts[3], parts[4]), keys)
        return x + parts[2] * self.feed(modulated(x, parts[0], parts[1]))  # type: ignore[no-any-return]


def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return layer norm of x (no learned weights), scaled and shifted."""
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class Denoiser(nn.Module):
    """Predict the clean tokens (x0) of one modality from noisy ones, the noise level and a condition.

    Args:
        inside: w, units of a token.
        width: units of the blocks.
        blocks: number of blocks.
        heads: heads of their attention; 0 = each token by itself, for single vectors.
    """

    def __init__(self, inside: int, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.time = TimeEmbedding(width)
        self.enter = nn.Linear(inside + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.last = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, inside)
        for layer in (self.last, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, observed: Tensor, keys: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        """Return clean tokens.

        Args:
            noisy: (R, L, w); observed tokens without noise.
            observed: (R, L) bool, tokens that are observed.
            keys: (R, L) bool, tokens that exist.
            condition: (R, width).
            level: (R,) int64.

        Returns:
            (R, L, w).
        """
        embedding = self.time(level) + condition
        x = self.enter(torch.cat([noisy, observed.unsqueeze(2).to(noisy)], dim=2))
        x = x + sinusoids(x.shape[1], x.shape[2], x.device).to(x)
        for block in self.blocks:
            x = block(x, embedding, keys)
        scale, shift = self.last(functional.silu(embedding)).unsqueeze(1).chunk(2, dim=-1)
        clean: Tensor = self.leave(modulated(x, scale, shift))
        return clean


class Conditioning(nn.Module):
    """Encode any subset of observed modalities in one vector: the mean of the tokens of each, and presence indicators.

    Args:
        widths: units of the tokens of each modality.
        width: units of the vector.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(sum(widths) + len(widths), width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, coded: Sequence[Tensor], observed: Tensor) -> Tensor:
        """Return (U, width) from one (U, L, w_m) for each modality, zeros where not observed, and (U, M, L) bool."""
        count = observed.sum(dim=2)  # (U, M)
        means = [x.sum(dim=1) / count[:, [m]].clamp_min(1) for m, x in enumerate(coded)]
        condition: Tensor = self.layers(torch.cat([*means, (count > 0).to(means[0])], dim=1))
        return condition
