"""Attention blocks of CIDer: attention within every subset of modalities in one pass, pooling, and alignment."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MOST_MODALITIES = 6  # each further one doubles the number of subsets
KEPT = 1 << 23  # numbers of an N x N tensor that are kept for the backward pass: 32 MiB
GONE = -1e30  # logit of a masked key; finite, so a block without keys gives no NaN


def subsets(modality: int, modalities: int) -> list[tuple[int, ...]]:
    """Return the subsets of 0..modalities-1 that contain ``modality``, small ones first."""
    others = [j for j in range(modalities) if j != modality]
    return [tuple(sorted((modality, *extra))) for k in range(modalities) for extra in combinations(others, k)]


def block_attention(
    logits: Tensor, values: Tensor, present: Tensor, lengths: tuple[int, ...], dropout: float = 0.0
) -> list[Tensor]:
    """Return softmax attention within every subset of modalities, from one exponential for each logit.

    Let m_j be the largest logit of the keys of modality j, E_j = exp(A_j - m_j), n_j = E_j v_j, and s_j the row sums of E_j.
    The attention within a subset S is O_S = sum_{j in S} w_j n_j / sum_{j in S} w_j s_j with w_j = exp(m_j - max_{j in S} m_j).
    This is exact and needs one pass over the logits instead of one masked softmax for each subset.

    Args:
        logits: (B, H, N, N), scaled products of queries and keys; :data:`GONE` at masked keys.
        values: (B, H, N, e).
        present: (B, N) bool, False = masked key.
        lengths: number of positions of each modality; their sum is N.
        dropout: dropout rate of the attention weights.

    Returns:
        For each modality m (B, H, T_m, S, e): attention of its positions within each of the S subsets that contain it, in the
        order of :func:`subsets`; 0 where a subset has no key.
    """
    with_sum = functional.pad(values, (0, 1), value=1.0)  # (B, H, N, e + 1): the product with the column of ones is the row sum
    products, maxima = [], []
    for logits_j, values_j in zip(
        torch.split(logits, list(lengths), dim=-1), torch.split(with_sum, list(lengths), dim=-2), strict=True
    ):
        if logits_j.shape[-1] == 0:
            maxima.append(logits.new_full((*logits.shape[:-1], 1), GONE))
            products.append(with_sum.new_ones(with_sum.shape))
            continue
        maxima.append(logits_j.detach().amax(dim=-1, keepdim=True))  # (B, H, N, 1)
        weights = (logits_j - maxima[-1]).exp_()
        read = weights @ values_j  # (B, H, N, e + 1)
        if dropout:  # weights are dropped, their sum is not
            read = torch.cat([functional.dropout(weights, dropout) @ values_j[..., :-1], read[..., -1:]], dim=-1)
        products.append(read)
    keys = torch.stack([p.any(dim=1) for p in torch.split(present, list(lengths), dim=1)], dim=1)  # (B, M)
    attended, first_row = [], 0
    for m, length in enumerate(lengths):
        rows = slice(first_row, first_row + length)
        first_row += length
        parts = []
        for subset in subsets(m, len(lengths)):
            largest = torch.cat([maxima[j][:, :, rows] for j in subset], dim=-1)  # (B, H, T_m, |S|)
            scale = (largest - largest.amax(dim=-1, keepdim=True)).exp_()
            total = torch.stack([scale[..., k, None] * products[j][:, :, rows] for k, j in enumerate(subset)]).sum(dim=0)
            has_key = keys[:, None, None, list(subset)].any(dim=-1, keepdim=True)  # (B, 1, 1, 1)
            parts.append(total[..., :-1] / total[..., -1:] * has_key)
        attended.append(torch.stack(parts, dim=3))  # (B, H, T_m, S, e)
    return attended


def masked_softmax(logits: Tensor, keys: Tensor) -> Tensor:
    """Return attention weights (..., N) over the present keys, from logits (..., N) and keys (..., N) bool; 0 without keys."""
    return logits.masked_fill(~keys, GONE).softmax(dim=-1) * keys


def scores(q: Tensor, k: Tensor, present: Tensor) -> Tensor:
    """Return scaled products of queries and keys, :data:`GONE` at masked keys.

    Args:
        q: (B, H, N, e).
        k: (B, H, N, e).
        present: (B, N) bool.

    Returns:
        (B, H, N, N). The mask is one more column of the product (1 times GONE), so it needs no pass over N x N.
    """
    mask = (~present).to(k.dtype).mul(GONE)[:, None, :, None].expand(*k.shape[:-1], 1)
    q = functional.pad(q * q.shape[-1] ** -0.5, (0, 1), value=1.0)
    return q @ torch.cat([k, mask], dim=-1).transpose(-1, -2)


def in_parts(work: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int, most: int) -> Tensor:
    """Return a function of a batch, computed in parts of the batch and recomputed in the backward pass.

    So the memory for N x N tensors of attention does not grow with the batch. A batch that fits in one part is computed once.

    Args:
        work: function of tensors whose first dimension is B.
        inputs: its arguments.
        size: numbers that it computes for one row.
        most: largest count of numbers in a part.

    Returns:
        The concatenated results.
    """
    rows = max(1, most // max(1, size))
    if rows >= len(inputs[0]):
        return work(*inputs)
    parts = zip(*(torch.split(x, rows) for x in inputs), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([work(*part) for part in parts])
    return torch.cat([checkpoint(work, *part, use_reentrant=False) for part in parts])


class CompositeAttention(nn.Module):
    """Multimodal composite attention of CIDer: each position attends to every subset of modalities that it belongs to.

    The published module (Zhong et al., arXiv 2506.10452) applies several affine maps in sequence to the result of each subset;
    here they are one affine map for each modality.

    Args:
        width: d, a multiple of ``heads``.
        heads: H.
        modalities: M.
        dropout: dropout rate of the attention weights.
    """

    def __init__(self, width: int, heads: int, modalities: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        self.out = nn.ModuleList(nn.Linear(2 ** (modalities - 1) * width, width) for _ in range(modalities))

    def forward(self, x: Tensor, present: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output (B, N, d), queries and keys, (B, H, N, e) each.

        Args:
            x: (B, N, d), positions of all modalities, modality by modality.
            present: (B, N) bool, False = masked key.
            lengths: number of positions of each modality.
        """
        b, n, d = x.shape
        q, k, v = (
            self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        )  # (B, N, 3 d) -> each (B, H, N, e)
        dropout = self.dropout if self.training else 0.0

        def read(q: Tensor, k: Tensor, v: Tensor, present: Tensor) -> Tensor:
            attended = block_attention(scores(q, k, present), v, present, lengths, dropout)
            # (B, H, T, S, e) -> (B, T, S, H, e) -> (B, T, S d)
            return torch.cat([r.permute(0, 2, 3, 1, 4).flatten(2) for r in attended], dim=1)

        attended = in_parts(read, (q, k, v, present), self.heads * n * n, KEPT)  # (B, N, S d)
        output = torch.cat([out(r) for out, r in zip(self.out, torch.split(attended, list(lengths), dim=1), strict=True)], dim=1)
        return output, q, k


class AttentionPooling(nn.Module):
    """Attention pooling: a weighted mean of the present positions, with learned weights (Lin et al., ICLR 2017).

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, d) from positions (B, T, d) and (B, T) bool; 0 if no position is present."""
        weights = masked_softmax(self.score(x).squeeze(-1), present)  # (B, T)
        pooled: Tensor = (weights.unsqueeze(1) @ x).squeeze(1)  # (B, 1, T) @ (B, T, d) -> (B, d)
        return pooled


class Alignment(nn.Module):
    """Single-head attention from the positions of one modality to the frames of another.

    Word-level self-aligned attention of CIDer (Zhong et al., arXiv 2506.10452): the positions of words attend to the frames of
    voice and face, so all sequences get the length of the text. The cost is T_words x T_frames.

    Args:
        width: d of both sequences.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, queries: Tensor, frames: Tensor, present: Tensor) -> Tensor:
        """Return frames read at query positions, (B, Q, d).

        Args:
            queries: (B, Q, d).
            frames: (B, T, d).
            present: (B, T) bool, False = masked frame; at least one frame of each row is present.
        """
        attended = functional.scaled_dot_product_attention(
            self.query(queries), self.key(frames), self.value(frames), attn_mask=present.unsqueeze(1)
        )
        aligned: Tensor = self.out(attended)
        return aligned
