"""Networks that clean the nodes of a graph and its semantic state; told the level of noise, and of any size of graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lacuna.models.layers.diffusion import TimeEmbedding

SMALL = 0.01  # of the usual weights: a new denoiser answers the mean, not noise, and who reads it is not misled meanwhile


class NodeLayer(nn.Module):
    """h + MLP of what a node hears through each graph, with the level of noise.

    Args:
        hidden: width.
        graphs: how many adjacencies there are; 0 = a node hears itself alone.
        dropout: share of units dropped in training.
    """

    def __init__(self, hidden: int, graphs: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.own = nn.Linear(hidden, hidden)
        self.time = nn.Linear(hidden, hidden)
        self.hear = nn.ModuleList()
        if graphs:
            from torch_geometric.nn import DenseGraphConv  # two seconds to import, so only once it is used

            self.hear = nn.ModuleList(DenseGraphConv(hidden, hidden, aggr="add", bias=False) for _ in range(graphs))
        self.out = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden))

    def forward(self, nodes: Tensor, graphs: list[Tensor], time: Tensor) -> Tensor:
        """(D, L, hidden), (D, L, L) each, (D, hidden) -> (D, L, hidden)."""
        x = self.norm(nodes)
        heard = self.own(x) + self.time(time)[:, None]
        for convolve, graph in zip(self.hear, graphs, strict=True):
            heard = heard + convolve(x, graph)
        return nodes + self.out(heard)  # type: ignore[no-any-return]


class NodeDenoiser(nn.Module):
    """x0 of the missing signals of all modalities together.

    Args:
        width: of the signals of all modalities.
        modalities: M.
        hidden: width inside.
        layers: how many.
        graphs: adjacencies that are heard.
        dropout: share of units dropped in training.
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
        """Clean signals, hidden nodes and embedded time.

        Args:
            noisy: (D, L, width), zeros where observed.
            condition: (D, L, width + M): what is observed and presence bits.
            graphs: (D, L, L) each, zeros after the end of a dialogue.
            level: (D,) int64.

        Returns:
            (D, L, width), (D, L, hidden), (D, hidden).
        """
        time = self.time(level)
        nodes = self.enter(torch.cat([noisy, condition], dim=2))
        for layer in self.layers:
            nodes = layer(nodes, graphs, time)
        return self.leave(nodes), nodes, time


class StateDenoiser(nn.Module):
    """x0 of the semantic state: the same small network for each slot, which also hears the mean of all slots of its modality.

    A slot is an eigenvalue or a pair of turns. GSDM's network is as wide as its largest graph has nodes; this one fits any.

    Args:
        modalities: M.
        hidden: width of the node denoiser, and of this.
    """

    def __init__(self, modalities: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(4, hidden)
        self.around = nn.Linear(2 * hidden, hidden)
        self.modality = nn.Parameter(0.02 * torch.randn(modalities, hidden))
        self.slots = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden))
        self.leave = nn.Sequential(nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, noisy: Tensor, seen: Tensor, structure: Tensor, real: Tensor, around: Tensor) -> Tensor:
        """What is seen, plus a guess of the rest.

        Args:
            noisy: (D, M, N).
            seen: (D, M, N) the state of what is observed.
            structure: (D, M, N, 2) the structure's value of the slot, and the share of it that is observed.
            real: (D, N) bool.
            around: (D, 2 hidden): mean of the hidden nodes, and time.

        Returns:
            (D, M, N), zeros after the end of a dialogue.
        """
        here = real[:, None, :, None].to(noisy.dtype)
        features = torch.cat([noisy[..., None], seen[..., None], structure], dim=3)
        told = self.around(around)[:, None] + self.modality  # (D, M, hidden)
        slots = self.slots(self.enter(features) + told[:, :, None])  # (D, M, N, hidden)
        mean = (slots * here).sum(dim=2, keepdim=True) / here.sum(dim=2, keepdim=True).clamp_min(1)
        guess: Tensor = self.leave(slots + mean)
        return (seen + guess.squeeze(3)) * here.squeeze(3)
