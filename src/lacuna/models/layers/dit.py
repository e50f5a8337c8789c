"""Denoisers that are told of time and of what is observed by scale, shift and gate of every block (adaLN-Zero)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.diffusion import TimeEmbedding
from lacuna.models.layers.positions import sinusoids


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself.

    Args:
        width: d, a multiple of ``heads``.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """(R, L, d) and (R, L) bool what may be read -> (R, L, d); a row without keys reads zeros."""
        r, length, d = x.shape
        q, k, v = self.qkv(x).view(r, length, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)  # each (R, H, L, e)
        none = ~keys.any(dim=1)
        mask = (keys | none[:, None])[:, None, None]  # no softmax over nothing
        read = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).masked_fill(none[:, None, None, None], 0)
        return self.out(read.transpose(1, 2).flatten(2))  # type: ignore[no-any-return] # (R, H, L, e) -> (R, L, d)


class Block(nn.Module):
    """A transformer block under adaLN-Zero (Peebles and Xie, ICCV 2023); without heads, a residual MLP under it.

    Args:
        width: d.
        heads: of its attention; 0 = none, for single vectors.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads) if heads else None
        parts = 6 if heads else 3
        self.told = nn.Linear(width, parts * width)
        nn.init.zeros_(self.told.weight)  # every block starts as the identity
        nn.init.zeros_(self.told.bias)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, told: Tensor, keys: Tensor) -> Tensor:
        """(R, L, d), (R, d), (R, L) bool -> (R, L, d)."""
        parts = self.told(functional.silu(told)).unsqueeze(1).chunk(6 if self.attention else 3, dim=-1)  # (R, 1, d) each
        if self.attention is not None:
            x = x + parts[5] * self.attention(modulated(x, parts[3], parts[4]), keys)
        return x + parts[2] * self.feed(modulated(x, parts[0], parts[1]))  # type: ignore[no-any-return]


def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalised without weights of its own, then scaled and shifted."""
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class Denoiser(nn.Module):
    """x0 of one modality's tokens, from noisy ones, the level of noise and what the other modalities say.

    Args:
        inside: width of a token.
        width: of the blocks.
        blocks: how many.
        heads: of their attention; 0 = every token by itself, which is all there is to a single vector.
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

    def forward(self, noisy: Tensor, here: Tensor, keys: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        """Clean tokens.

        Args:
            noisy: (R, L, inside); tokens that were observed are as they are.
            here: (R, L) bool, those.
            keys: (R, L) bool, tokens that exist.
            condition: (R, width).
            level: (R,) int64.

        Returns:
            (R, L, inside).
        """
        told = self.time(level) + condition
        x = self.enter(torch.cat([noisy, here.unsqueeze(2).to(noisy)], dim=2))
        x = x + sinusoids(x.shape[1], x.shape[2], x.device).to(x)
        for block in self.blocks:
            x = block(x, told, keys)
        scale, shift = self.last(functional.silu(told)).unsqueeze(1).chunk(2, dim=-1)
        clean: Tensor = self.leave(modulated(x, scale, shift))
        return clean


class Conditioning(nn.Module):
    """What is observed, in one vector, for any subset of modalities: the mean of each one's tokens over time, and who is there.

    Args:
        widths: of the tokens of each modality.
        width: of the vector.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(sum(widths) + len(widths), width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, coded: Sequence[Tensor], here: Tensor) -> Tensor:
        """One (U, L, w_m) a modality with zeros where nothing was observed, and (U, M, L) bool -> (U, width)."""
        count = here.sum(dim=2)  # (U, M)
        means = [x.sum(dim=1) / count[:, [m]].clamp_min(1) for m, x in enumerate(coded)]
        told: Tensor = self.layers(torch.cat([*means, (count > 0).to(means[0])], dim=1))
        return told
