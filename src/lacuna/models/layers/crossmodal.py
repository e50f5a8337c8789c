"""Fusion of any number of modalities by attention from each to each other one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lacuna.models.layers.positions import sinusoids


class CrossModalReading(nn.Module):
    """A sequence that reads another one, or itself: a transformer layer with the norms before.

    There is one learned key more than tokens, so that nobody reads nothing, and a single token can also be left unread.

    Args:
        width: d.
        heads: of the attention.
        dropout: share of units dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.own, self.other, self.between = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.nobody = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.dropout = nn.Dropout(dropout)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, read: Tensor, keys: Tensor) -> Tensor:
        """Args: x (U, L, d), read (U, K, d), keys (U, K) bool. Returns: (U, L, d)."""
        read = torch.cat([self.nobody.expand(len(read), 1, -1).to(read), self.other(read)], dim=1)
        gone = torch.cat([keys.new_zeros(len(keys), 1), ~keys], dim=1)
        found, _ = self.attention(self.own(x), read, read, key_padding_mask=gone, need_weights=False)
        x = x + self.dropout(found)
        return x + self.dropout(self.feed(self.between(x)))  # type: ignore[no-any-return]


class CrossModalFusion(nn.Module):
    """One vector from the tokens of M modalities (MulT: Tsai et al., ACL 2019).

    Each modality reads every other one; what it found, side by side, reads itself. MulT then takes the last step, which is
    padding in most recordings; here it is the mean over tokens that exist.

    Args:
        dims: width of the tokens of each modality.
        width: d of the inner tokens.
        heads: of every attention.
        layers: of reading another modality.
        memory: layers of reading itself afterwards.
        dropout: share of units dropped in training.
    """

    def __init__(self, dims: Sequence[int], width: int, heads: int, layers: int, memory: int, dropout: float) -> None:  # noqa: PLR0917
        super().__init__()
        m = len(dims)
        self.project = nn.ModuleList(nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width)) for dim in dims)
        self.pairs = [(target, source) for target in range(m) for source in range(m) if source != target]
        self.cross = nn.ModuleList(
            nn.ModuleList(CrossModalReading(width, heads, dropout) for _ in range(layers)) for _ in self.pairs
        )
        inner = width * max(1, m - 1)
        self.memory = nn.ModuleList(nn.ModuleList(CrossModalReading(inner, heads, dropout) for _ in range(memory)) for _ in dims)
        self.norm = nn.ModuleList(nn.LayerNorm(inner) for _ in dims)
        self.width = m * inner  # of the vector

    def forward(self, raw: Sequence[Tensor], keys: Tensor) -> Tensor:
        """One (U, L, d_m) a modality and (U, M, L) bool, tokens that exist -> (U, ``width``); 0 for a modality without any."""
        tokens = [project(x) for project, x in zip(self.project, raw, strict=True)]
        tokens = [x + sinusoids(x.shape[1], x.shape[2], x.device).to(x) for x in tokens]
        found: list[list[Tensor]] = [[] for _ in tokens]
        for (target, source), layers in zip(self.pairs, self.cross, strict=True):
            x = tokens[target]
            for layer in layers:  # type: ignore[attr-defined]
                x = layer(x, tokens[source], keys[:, source])
            found[target].append(x)
        vectors = []
        for m, memory in enumerate(self.memory):
            x = torch.cat(found[m] or [tokens[m]], dim=2)
            for layer in memory:  # type: ignore[attr-defined]
                x = layer(x, x, keys[:, m])
            there = keys[:, m].unsqueeze(2).to(x.dtype)  # (U, L, 1)
            vectors.append((self.norm[m](x) * there).sum(dim=1) / there.sum(dim=1).clamp_min(1))
        return torch.cat(vectors, dim=1)
