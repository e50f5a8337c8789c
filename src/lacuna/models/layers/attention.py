"""Attention over the frames of several modalities at once: every subset of modalities in one pass, and pooling."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MOST_MODALITIES = 6  # every further one doubles the number of subsets
KEPT = 1 << 23  # numbers of an N x N tensor that may be kept for the backward pass: 32 MiB
GONE = -1e30  # the logit of a masked key: finite, so that a block without keys has no NaN and no weight


def subsets(modality: int, modalities: int) -> list[tuple[int, ...]]:
    """The subsets of 0..modalities-1 that contain ``modality``, small ones first."""
    others = [j for j in range(modalities) if j != modality]
    return [tuple(sorted((modality, *extra))) for k in range(modalities) for extra in combinations(others, k)]


def block_attention(
    logits: Tensor, values: Tensor, present: Tensor, lengths: tuple[int, ...], dropout: float = 0.0
) -> list[Tensor]:
    """Softmax attention within every subset of modalities, from one exponential.

    With m_j the largest logit of a block of keys, E_j = exp(A_j - m_j), n_j = E_j v_j and s_j the row sums of E_j, the attention
    within any subset S is O_S = sum_{j in S} w_j n_j / sum_{j in S} w_j s_j with w_j = exp(m_j - max_{j in S} m_j): exact for any
    logits, with one pass over them instead of one masked softmax a subset.

    Args:
        logits: (B, H, N, N), scaled products of queries and keys; :data:`GONE` where there is no key.
        values: (B, H, N, e).
        present: (B, N) bool, False = no key.
        lengths: positions of each modality; they add up to N.
        dropout: share of attention weights dropped.

    Returns:
        For each modality m (B, H, T_m, S, e): what its positions read in each of the S subsets that contain it, in the order of
        :func:`subsets`; 0 where a subset has no key.
    """
    with_sum = functional.pad(values, (0, 1), value=1.0)  # a column of ones: its product is the row sum
    products, maxima = [], []
    for block, value in zip(
        torch.split(logits, list(lengths), dim=-1), torch.split(with_sum, list(lengths), dim=-2), strict=True
    ):
        if block.shape[-1] == 0:
            maxima.append(logits.new_full((*logits.shape[:-1], 1), GONE))
            products.append(with_sum.new_ones(with_sum.shape))
            continue
        maxima.append(block.detach().amax(dim=-1, keepdim=True))  # (B, H, N, 1)
        weights = (block - maxima[-1]).exp_()
        read = weights @ value  # (B, H, N, e + 1)
        if dropout:  # weights are dropped, what they are divided by is not
            read = torch.cat([functional.dropout(weights, dropout) @ value[..., :-1], read[..., -1:]], dim=-1)
        products.append(read)
    keys = torch.stack([p.any(dim=1) for p in torch.split(present, list(lengths), dim=1)], dim=1)  # (B, M)
    found, low = [], 0
    for m, length in enumerate(lengths):
        rows = slice(low, low + length)
        low += length
        parts = []
        for subset in subsets(m, len(lengths)):
            largest = torch.cat([maxima[j][:, :, rows] for j in subset], dim=-1)  # (B, H, T_m, |S|)
            scale = (largest - largest.amax(dim=-1, keepdim=True)).exp_()
            total = torch.stack([scale[..., k, None] * products[j][:, :, rows] for k, j in enumerate(subset)]).sum(dim=0)
            there = keys[:, None, None, list(subset)].any(dim=-1, keepdim=True)  # (B, 1, 1, 1)
            parts.append(total[..., :-1] / total[..., -1:] * there)
        found.append(torch.stack(parts, dim=3))  # (B, H, T_m, S, e)
    return found


def scores(q: Tensor, k: Tensor, present: Tensor) -> Tensor:
    """Scaled products of queries and keys, :data:`GONE` at keys that are not present.

    Args:
        q: (B, H, N, e).
        k: (B, H, N, e).
        present: (B, N) bool.

    Returns:
        (B, H, N, N). The mask is one more column of the product, a one times GONE: no pass over N x N for it.
    """
    gone = (~present).to(k.dtype).mul(GONE)[:, None, :, None].expand(*k.shape[:-1], 1)
    q = functional.pad(q * q.shape[-1] ** -0.5, (0, 1), value=1.0)
    return q @ torch.cat([k, gone], dim=-1).transpose(-1, -2)


def in_parts(work: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int, most: int) -> Tensor:
    """Do something row by row of the batch in parts, and once more in the backward pass.

    So the N x N tensors of attention do not pile up, however large the batch is; a batch that is one part is done once and kept.

    Args:
        work: a function of tensors that begin with the same B rows.
        inputs: what it is called with.
        size: numbers that it makes of one row.
        most: numbers in a part.

    Returns:
        Its results, one after the other.
    """
    rows = max(1, most // max(1, size))
    if rows >= len(inputs[0]):
        return work(*inputs)
    parts = zip(*(torch.split(x, rows) for x in inputs), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([work(*part) for part in parts])
    return torch.cat([checkpoint(work, *part, use_reentrant=False) for part in parts])


class CompositeAttention(nn.Module):
    """Multimodal composite attention of CIDer: every position reads each subset of modalities that it belongs to.

    The published module projects each subset's reading, concatenates, summarises a modality and projects again: affine maps one
    after the other, which are one affine map a modality. (Zhong et al., arXiv 2506.10452.)

    Args:
        width: d, a multiple of ``heads``.
        heads: H.
        modalities: M.
        dropout: share of attention weights dropped in training.
    """

    def __init__(self, width: int, heads: int, modalities: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        self.out = nn.ModuleList(nn.Linear(2 ** (modalities - 1) * width, width) for _ in range(modalities))

    def forward(self, x: Tensor, present: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Read.

        Args:
            x: (B, N, d), the modalities one after the other.
            present: (B, N) bool, what may be read.
            lengths: positions of each modality.

        Returns:
            (B, N, d), and queries and keys, (B, H, N, e) each.
        """
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)  # each (B, H, N, e)
        dropout = self.dropout if self.training else 0.0

        def read(q: Tensor, k: Tensor, v: Tensor, present: Tensor) -> Tensor:
            found = block_attention(scores(q, k, present), v, present, lengths, dropout)
            # (B, H, T, S, e) -> (B, T, S, H, e) -> (B, T, S d)
            return torch.cat([r.permute(0, 2, 3, 1, 4).flatten(2) for r in found], dim=1)

        found = in_parts(read, (q, k, v, present), self.heads * n * n, KEPT)  # (B, N, S d)
        mixed = torch.cat([out(r) for out, r in zip(self.out, torch.split(found, list(lengths), dim=1), strict=True)], dim=1)
        return mixed, q, k


class AttentionPooling(nn.Module):
    """One vector of a sequence: a weighted mean of what is present, with learned weights (Lin et al., ICLR 2017).

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """(B, T, d) and (B, T) bool -> (B, d); 0 if nothing is present."""
        weights = self.score(x).squeeze(-1).masked_fill(~present, GONE).softmax(dim=1) * present  # (B, T)
        pooled: Tensor = (weights.unsqueeze(1) @ x).squeeze(1)
        return pooled
