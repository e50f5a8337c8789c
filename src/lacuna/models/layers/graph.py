"""Conversation graphs over a flat batch: which turn hears which, and how.

Every builder is a pure function of where the turns sit (:class:`Dialogues`) and, for the speaker graph, of who speaks. An edge
goes from the turn that is heard (``source``) to the turn that hears (``target``) and carries a relation id that is written down
here, not found in the data, so that a weight means the same in every batch:

========== == =======================================================================
graph      id relation of the source, as the target sees it
========== == =======================================================================
temporal    0 an earlier turn
temporal    1 the turn itself
temporal    2 a later turn
speaker     0 a turn of the same speaker (the turn itself is one)
speaker     1 a turn of another speaker
multimodal  0 an earlier turn in the same modality
multimodal  1 the node itself
multimodal  2 a later turn in the same modality
multimodal  3 the same turn in another modality
========== == =======================================================================

Two relations serve any number of speakers; the square of their number (GCNet) would tie the weights to one cast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues

TEMPORAL, SPEAKER, MULTIMODAL = 3, 2, 4  # relations of each kind of graph
EARLIER, ITSELF, LATER, ACROSS = range(4)
SAME, OTHER = range(2)


@dataclass(frozen=True, eq=False)
class Graph:
    """Directed edges with relations; no edge twice, and ordered by target.

    Attributes:
        nodes: how many there are, edges or not.
        source: (E,) int64 the node that is heard.
        target: (E,) int64 the node that hears.
        relation: (E,) int64, see the table above.
        relations: how many there may be.
    """

    nodes: int
    source: Tensor
    target: Tensor
    relation: Tensor
    relations: int

    @cached_property
    def edge_index(self) -> Tensor:
        """(2, E): source over target, as torch-geometric has it."""
        return torch.stack([self.source, self.target])

    def only(self, relation: int) -> Graph:
        """The edges of one relation; ids stay."""
        kept = self.relation == relation
        return Graph(self.nodes, self.source[kept], self.target[kept], self.relation[kept], self.relations)


@dataclass(frozen=True, eq=False)
class Hypergraph:
    """Which nodes belong to which hyperedges.

    Attributes:
        nodes: how many there are.
        edges: how many hyperedges there may be; some may be empty.
        node: (I,) int64.
        edge: (I,) int64.
    """

    nodes: int
    edges: int
    node: Tensor
    edge: Tensor

    @cached_property
    def index(self) -> Tensor:
        """(2, I): node over hyperedge, as torch-geometric has it."""
        return torch.stack([self.node, self.edge])


def window_edges(dialogues: Dialogues, past: int, future: int) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of turns of one dialogue that are near enough, each turn with itself included.

    Args:
        dialogues: of the batch.
        past: turns back that a turn hears.
        future: turns ahead.

    Returns:
        Source, target and their distance in turns (negative = source is earlier), each (E,) int64, ordered by target.
    """
    row, column, lengths = dialogues.row, dialogues.column, dialogues.lengths
    place = (lengths.cumsum(0) - lengths)[row] + column  # (U,) in the batch as if sorted by dialogue and turn
    at = torch.empty_like(place)
    at[place] = torch.arange(len(place), device=place.device)  # (U,) who is in that place
    offset = torch.arange(-past, future + 1, device=place.device)
    near = column[:, None] + offset  # (U, past + 1 + future)
    target, which = torch.nonzero((near >= 0) & (near < lengths[row][:, None]), as_tuple=True)
    distance = offset[which]
    return at[place[target] + distance], target, distance


def temporal(dialogues: Dialogues, past: int, future: int) -> Graph:
    """Each turn hears those around it; relations 0-2."""
    source, target, distance = window_edges(dialogues, past, future)
    return Graph(len(dialogues.row), source, target, distance.sign() + ITSELF, TEMPORAL)


def speakers(dialogues: Dialogues, speaker: Tensor, past: int, future: int) -> Graph:
    """Each turn hears those around it, by whether its own speaker said them; relations 0-1.

    Args:
        dialogues: of the batch.
        speaker: (U,) any codes; only equality counts.
        past: turns back that a turn hears.
        future: turns ahead.
    """
    source, target, _ = window_edges(dialogues, past, future)
    return Graph(len(dialogues.row), source, target, (speaker[source] != speaker[target]).long(), SPEAKER)


def by_modality(dialogues: Dialogues, modalities: int) -> Dialogues:
    """Where the nodes of :func:`multimodal` sit: each dialogue holds its turns once a modality, those of a turn side by side."""
    each = torch.arange(modalities, device=dialogues.row.device)[:, None]
    column = dialogues.column * modalities + each  # (M, U)
    return Dialogues(dialogues.row.repeat(modalities), column.reshape(-1), dialogues.lengths * modalities)  # (M, U) -> (M U,)


def multimodal(dialogues: Dialogues, modalities: int, past: int, future: int) -> Graph:
    """A node an utterance and modality (MMGCN, Hu et al., ACL 2021; MM-DFN); relations 0-3.

    Args:
        dialogues: of the batch.
        modalities: M.
        past: turns back that a node hears within its modality.
        future: turns ahead.

    Returns:
        A graph of M U nodes; node ``m * U + u`` is modality m of utterance u.
    """
    turns = len(dialogues.row)
    source, target, distance = window_edges(dialogues, past, future)
    shift = turns * torch.arange(modalities, device=source.device)[:, None]
    m, n, u = torch.meshgrid(*(torch.arange(k, device=source.device) for k in (modalities, modalities, turns)), indexing="ij")
    m, n, u = (x[m != n] for x in (m, n, u))  # (M (M - 1) U,)
    sources = torch.cat([(source + shift).reshape(-1), n * turns + u])  # (M, E) -> (M E,)
    targets = torch.cat([(target + shift).reshape(-1), m * turns + u])
    relation = torch.cat([(distance.sign() + ITSELF).repeat(modalities), torch.full_like(u, ACROSS)])
    order = torch.argsort(targets, stable=True)
    return Graph(modalities * turns, sources[order], targets[order], relation[order], MULTIMODAL)


def hyperwindows(graph: Graph, *, split: bool = False) -> Hypergraph:
    """All that a turn hears as one hyperedge (SDR-GNN).

    Args:
        graph: any of the above.
        split: a hyperedge for each relation of a turn, numbered ``turn * relations + relation``.
    """
    if split:
        edge = graph.target * graph.relations + graph.relation
        return Hypergraph(graph.nodes, graph.nodes * graph.relations, graph.source, edge)
    return Hypergraph(graph.nodes, graph.nodes, graph.source, graph.target)
