"""Mixtures of low-rank experts over sequences: some shared by all tasks, one private to each task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.streams import masked_mean_of


class LowRankExpert(nn.Module):
    """Two convolutions over time with few channels between them; absent positions are read as padding.

    Args:
        width: d, channels of input and output.
        rank: r, channels between the convolutions.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Conv1d(width, rank, 3, padding=1)
        self.up = nn.Conv1d(rank, width, 3, padding=1)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (U, T, d) from positions (U, T, d), 0 where absent, and (U, T, 1) bool; 0 where absent."""
        low = functional.gelu(self.down(x.transpose(1, 2))) * present.transpose(1, 2)  # (U, T, d) -> (U, r, T)
        update: Tensor = self.up(low).transpose(1, 2) * present  # (U, d, T) -> (U, T, d)
        return update


class SharedAndPrivateExperts(nn.Module):
    r"""Block of MMoLRE: :math:`x^\tau + \sum_n g_n^\tau f_n(x^\tau) + g_{N+1}^\tau f^\tau(x^\tau)` for each task :math:`\tau`.

    :math:`g^\tau = \mathrm{softmax}(W^\tau \, \mathrm{mean}(x^\tau))`, the mean over present positions. The private expert f^tau
    and the router W^tau are in the path of their task alone, so no other task's loss has a gradient for them.

    Args:
        width: d.
        rank: r of each expert.
        shared: N, experts of all tasks.
        tasks: number of tasks.
    """

    def __init__(self, width: int, rank: int, shared: int, tasks: int) -> None:
        super().__init__()
        self.shared = nn.ModuleList(LowRankExpert(width, rank) for _ in range(shared))
        self.private = nn.ModuleList(LowRankExpert(width, rank) for _ in range(tasks))
        self.routers = nn.ModuleList(nn.Linear(width, shared + 1) for _ in range(tasks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(tasks))

    def forward(self, streams: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Return one (U, T, d) for each task from one (U, T, d) for each, 0 where (U, T) bool is not present."""
        inside = present.unsqueeze(2)  # (U, T, 1)
        results = []
        for x, private, router, norm in zip(streams, self.private, self.routers, self.norms, strict=True):
            gates = router(masked_mean_of(x, present)).softmax(dim=1)  # (U, N + 1)
            updates = torch.stack([expert(x, inside) for expert in (*self.shared, private)], dim=-1)  # (U, T, d, N + 1)
            mixed = (updates @ gates[:, None, :, None]).squeeze(-1)  # (U, T, d, N + 1) @ (U, 1, N + 1, 1) -> (U, T, d)
            results.append(norm(x + mixed) * inside)
        return results
