"""Fusion of any number of modalities by cross-modal attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.rescaling import Rescale, Rescaling, attended, attention_weights


class CrossModalReading(nn.Module):
    """Pre-norm transformer layer in which one sequence attends to another one, or to itself.

    There is one learned key in addition to the tokens. So the softmax is never empty, and a query can ignore all tokens.

    Args:
        width: d.
        heads: number of heads.
        dropout: dropout rate.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.own, self.other, self.between = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.nobody = nn.Parameter(0.02 * torch.randn(1, 1, width))  # the additional key
        self.dropout = nn.Dropout(dropout)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, read: Tensor, keys: Tensor, rescale: Rescale | None = None) -> Tensor:
        """Return (U, L, d) from queries x (U, L, d) and the sequence read (U, K, d) with keys (U, K) bool.

        Args:
            x: queries.
            read: sequence that they attend to.
            keys: False = masked.
            rescale: changes the weights (U, H, L, K) of the sequence; the learned key gets the rest. ``None`` = no change.
        """
        read, keys = self._with_nobody(read, keys)
        if rescale is None:
            update, _ = self.attention(self.own(x), read, read, key_padding_mask=~keys, need_weights=False)
        else:
            weights = rescale(attention_weights(self.attention, self.own(x), read, keys)[..., 1:])
            rest = 1 - weights.sum(dim=-1, keepdim=True)
            update = attended(self.attention, torch.cat([rest, weights], dim=-1), read)
        x = x + self.dropout(update)
        return x + self.dropout(self.feed(self.between(x)))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, read: Tensor, keys: Tensor) -> Tensor:
        """Return the attention weights of the sequence (U, H, L, K); the learned key has the rest. See :meth:`forward`."""
        return attention_weights(self.attention, self.own(x), *self._with_nobody(read, keys))[..., 1:]

    def _with_nobody(self, read: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised sequence (U, 1 + K, d) and keys (U, 1 + K), with the learned key in front."""
        read = torch.cat([self.nobody.expand(len(read), 1, -1).to(read), self.other(read)], dim=1)
        return read, torch.cat([keys.new_ones(len(keys), 1), keys], dim=1)


class CrossModalFusion(nn.Module):
    """Fusion of the tokens of M modalities into one vector (MulT: Tsai et al., ACL 2019).

    Each modality attends to every other one; the concatenated results attend to themselves. MulT then takes the last step, which
    is padding in most recordings; here the mean over existing tokens is taken.

    Args:
        dims: units of the tokens of each modality.
        width: d, units of the inner tokens.
        heads: number of heads.
        layers: number of cross-modal layers.
        memory: number of self-attention layers after them.
        dropout: dropout rate.
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
        self.width = m * inner  # F, units of the fused vector

    def forward(self, raw: Sequence[Tensor], keys: Sequence[Tensor], rescaling: Rescaling | None = None) -> Tensor:
        """Return (U, F) from one (U, L_m, d_m) for each modality, and one (U, L_m) bool, whether a token exists.

        The part of a modality without tokens is 0. With ``rescaling``, the attention of each modality to the others is balanced.
        """
        tokens = [project(x) for project, x in zip(self.project, raw, strict=True)]
        tokens = [x + sinusoids(x.shape[1], x.shape[2], x.device).to(x) for x in tokens]
        vectors = []
        for m, memory in enumerate(self.memory):
            x = torch.cat(self._readings(m, tokens, keys, rescaling) or [tokens[m]], dim=2)
            for layer in memory:  # type: ignore[attr-defined]
                x = layer(x, x, keys[m])
            exists = keys[m].unsqueeze(2).to(x.dtype)  # (U, L, 1)
            vectors.append((self.norm[m](x) * exists).sum(dim=1) / exists.sum(dim=1).clamp_min(1))
        return torch.cat(vectors, dim=1)

    def _readings(self, m: int, tokens: Sequence[Tensor], keys: Sequence[Tensor], rescaling: Rescaling | None) -> list[Tensor]:
        """Return what modality m reads of each other one, (U, L_m, d) each."""
        pairs = [(source, layers) for (target, source), layers in zip(self.pairs, self.cross, strict=True) if target == m]
        read, present = [tokens[source] for source, _ in pairs], [keys[source] for source, _ in pairs]
        readings = [tokens[m] for _ in pairs]
        for depth in zip(*(layers for _, layers in pairs), strict=True):
            steps = list(zip(depth, readings, read, present, strict=True))
            changes: Sequence[Rescale | None] = [None for _ in steps]
            if rescaling is not None:
                changes = rescaling.between([layer.weights(*inputs) for layer, *inputs in steps], present)
            readings = [layer(*inputs, change) for (layer, *inputs), change in zip(steps, changes, strict=True)]
        return readings
