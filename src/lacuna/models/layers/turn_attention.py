"""Attention between the turns of a dialogue."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.dialogue import Dialogues


class Matching(nn.Module):
    """Each turn as a mean of all turns of its dialogue, weighted by softmax(tanh(h_i W h_j)) (GCNet).

    Args:
        width: of a turn.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.asks = nn.Linear(width, width)

    def forward(self, x: Tensor, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width)."""
        padded = dialogues.pad(x)  # (D, L, width)
        score = torch.tanh(self.asks(padded) @ padded.mT)  # (D, L, L)
        there = _there(dialogues, padded)
        share = score.masked_fill(~there[:, None], -torch.inf).softmax(dim=2)
        return dialogues.flat(share @ padded)


class TurnAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., 2017) between the turns of a dialogue, added to the input.

    Args:
        width: of a turn; any, the heads have a width of their own.
        heads: number of them.
        size: width of a head.
    """

    def __init__(self, width: int, heads: int, size: int = 16) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.read = nn.Linear(width, 3 * heads * size)
        self.write = nn.Linear(heads * size, width)

    def forward(self, x: Tensor, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, width)."""
        padded = dialogues.pad(self.read(x))  # (D, L, 3 heads size)
        d, length, _ = padded.shape
        q, k, v = padded.view(d, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)  # each (D, heads, L, size)
        there = _there(dialogues, padded)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None])
        found = found.transpose(1, 2).reshape(d, length, -1)  # (D, heads, L, size) -> (D, L, heads size)
        added: Tensor = self.write(dialogues.flat(found))
        return x + added


def _there(dialogues: Dialogues, padded: Tensor) -> Tensor:
    """(D, L) bool: there is such a turn."""
    return torch.arange(padded.shape[1], device=padded.device) < dialogues.lengths[:, None]
