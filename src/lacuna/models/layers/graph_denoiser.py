"""Denoisers of GSDNet for the nodes of a graph and its semantic state; they fit graphs of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lacuna.models.layers.diffusion import TimeEmbedding

SMALL = 0.01  # factor of the initial weights of the last layer, so an untrained denoiser predicts the mean


class NodeLayer(nn.Module):
    """Residual layer: graph convolutions over each adjacency, conditioned on the noise level.

    Args:
        hidden: units.
        graphs: number of adjacencies; 0 = no messages between nodes.
        dropout: dropout rate.
    """

    def __init__(self, hidden: int, graphs: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.own = nn.Linear(hidden, hidden)
        self.time = nn.Linear(hidden, hidden)
        self.hear = nn.ModuleList()
        if graphs:
            from torch_geometric.nn import DenseGraphConv  # the import takes two seconds, so it waits for the first use

            self.hear = nn.ModuleList(DenseGraphConv(hidden, hidden, aggr="add", bias=False) for _ in range(graphs))
        self.out = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden))

    def forward(self, nodes: Tensor, graphs: list[Tensor], time: Tensor) -> Tensor:
        """Return nodes (D, L, hidden) from nodes (D, L, hidden), adjacencies (D, L, L) and embedded levels (D, hidden)."""
        normed = self.norm(nodes)
        messages = self.own(normed) + self.time(time)[:, None]
        for convolve, graph in zip(self.hear, graphs, strict=True):
            messages = messages + convolve(normed, graph)
        return nodes + self.out(messages)  # type: ignore[no-any-return]


class NodeDenoiser(nn.Module):
    """Predict the clean signals (x0) of all modalities.

    Args:
        width: W, units of the signals of all modalities.
        modalities: M.
        hidden: units of the nodes.
        layers: number of layers.
        graphs: number of adjacencies.
        dropout: dropout rate.
    """

    def __init__(self, width: int, modalities: int, hidden: int, layers: int, graphs: int, dropout: float) -> None:  # noqa: PLR0917
        super().__init__()
        self.time = TimeEmbedding(hidden)
        self.enter = nn.Linear(2 * width + modalities, hidden)
        self.layers = nn.ModuleList(NodeLayer(hidden, graphs, dropout) for _ in range(layers))
        last = nn.Linear(hidden, width)
        with torch.no_grad():
            last.weight.mul_(SMALL)
            last.bias.zero_()
        self.leave = nn.Sequential(nn.LayerNorm(hidden), last)

    def forward(self, noisy: Tensor, condition: Tensor, graphs: list[Tensor], level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return clean signals (D, L, W), hidden nodes (D, L, hidden) and embedded levels (D, hidden).

        Args:
            noisy: (D, L, W), zeros where observed.
            condition: (D, L, W + M): observed signals and presence indicators.
            graphs: (D, L, L) each, zeros after the end of a dialogue.
            level: (D,) int64.
        """
        time = self.time(level)
        nodes = self.enter(torch.cat([noisy, condition], dim=2))
        for layer in self.layers:
            nodes = layer(nodes, graphs, time)
        return self.leave(nodes), nodes, time


class StateDenoiser(nn.Module):
    """Predict the clean semantic state (x0): one small network for each slot, which also reads the mean over slots.

    A slot is an eigenvalue or a pair of turns. The network of GSDM has the width of the largest graph; this one fits any size.

    Args:
        modalities: M.
        hidden: units of the node denoiser, and of this network.
    """

    def __init__(self, modalities: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(4, hidden)
        self.around = nn.Linear(2 * hidden, hidden)
        self.modality = nn.Parameter(0.02 * torch.randn(modalities, hidden))
        self.slots = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden))
        self.leave = nn.Sequential(nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, noisy: Tensor, seen: Tensor, structure: Tensor, real: Tensor, around: Tensor) -> Tensor:
        """Return the observed state plus an estimate of the rest.

        Args:
            noisy: (D, M, N).
            seen: (D, M, N) state of the observed signals.
            structure: (D, M, N, 2) value of the structure in the slot, and its observed part.
            real: (D, N) bool, False = padding.
            around: (D, 2 hidden): mean of the hidden nodes, and embedded level.

        Returns:
            (D, M, N), zeros after the end of a dialogue.
        """
        inside = real[:, None, :, None].to(noisy.dtype)
        features = torch.cat([noisy[..., None], seen[..., None], structure], dim=3)
        condition = self.around(around)[:, None] + self.modality  # (D, M, hidden)
        slots = self.slots(self.enter(features) + condition[:, :, None])  # (D, M, N, hidden)
        mean = (slots * inside).sum(dim=2, keepdim=True) / inside.sum(dim=2, keepdim=True).clamp_min(1)
        estimate: Tensor = self.leave(slots + mean)
        return (seen + estimate.squeeze(3)) * inside.squeeze(3)
