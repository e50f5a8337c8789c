"""Conversation graphs over a flat batch.

Every builder is a pure function of the positions of the turns (:class:`Dialogues`) and, for the speaker graph, of the speakers.
A message goes from the ``source`` of an edge to its ``target``. Relation ids are fixed here and do not depend on the data, so a
weight has the same meaning in every batch:

========== == =======================================================================
graph      id the source of the edge is ...
========== == =======================================================================
temporal    0 an earlier turn
temporal    1 the turn itself
temporal    2 a later turn
speaker     0 a turn of the same speaker (the turn itself is one)
speaker     1 a turn of another speaker
========== == =======================================================================

Two relations serve any number of speakers; GCNet has one for each pair of speakers, which ties the weights to their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues

TEMPORAL, SPEAKER = 3, 2  # number of relations of each kind of graph
EARLIER, ITSELF, LATER = range(3)
SAME, OTHER = range(2)


@dataclass(frozen=True, eq=False)
class Graph:
    """Directed edges with relations, ordered by target; no edge occurs twice.

    Attributes:
        nodes: number of nodes.
        source: (E,) int64, node that a message comes from.
        target: (E,) int64, node that a message goes to.
        relation: (E,) int64, see the table above.
        relations: number of relations.
    """

    nodes: int
    source: Tensor
    target: Tensor
    relation: Tensor
    relations: int

    @cached_property
    def edge_index(self) -> Tensor:
        """Return (2, E): source and target, as torch-geometric expects them."""
        return torch.stack([self.source, self.target])

    def only(self, relation: int) -> Graph:
        """Return the graph with the edges of one relation; ids do not change."""
        kept = self.relation == relation
        return Graph(self.nodes, self.source[kept], self.target[kept], self.relation[kept], self.relations)


@dataclass(frozen=True, eq=False)
class Hypergraph:
    """Incidences of nodes and hyperedges.

    Attributes:
        nodes: number of nodes.
        edges: number of hyperedges; some can be empty.
        node: (I,) int64, node of each incidence.
        edge: (I,) int64, its hyperedge.
    """

    nodes: int
    edges: int
    node: Tensor
    edge: Tensor

    @cached_property
    def index(self) -> Tensor:
        """Return (2, I): node and hyperedge, as torch-geometric expects them."""
        return torch.stack([self.node, self.edge])


def window_edges(dialogues: Dialogues, past: int, future: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return all pairs of turns of one dialogue within the window, each turn with itself included.

    Args:
        dialogues: positions of the turns.
        past: number of earlier turns that send messages to a turn.
        future: number of later turns that do.

    Returns:
        Source, target and their distance in turns (negative = source is earlier), each (E,) int64, ordered by target.
    """
    row, column, lengths = dialogues.row, dialogues.column, dialogues.lengths
    rank = (lengths.cumsum(0) - lengths)[row] + column  # (U,) rank by dialogue and turn
    utterance_at = torch.empty_like(rank)
    utterance_at[rank] = torch.arange(len(rank), device=rank.device)  # (U,) utterance with that rank
    offset = torch.arange(-past, future + 1, device=rank.device)
    neighbour = column[:, None] + offset  # (U, past + 1 + future)
    target, index = torch.nonzero((neighbour >= 0) & (neighbour < lengths[row][:, None]), as_tuple=True)
    distance = offset[index]
    return utterance_at[rank[target] + distance], target, distance


def temporal(dialogues: Dialogues, past: int, future: int) -> Graph:
    """Return the graph of earlier and later turns within a window; relations 0-2."""
    source, target, distance = window_edges(dialogues, past, future)
    return Graph(len(dialogues.row), source, target, distance.sign() + ITSELF, TEMPORAL)


def speakers(dialogues: Dialogues, speaker: Tensor, past: int, future: int) -> Graph:
    """Return the graph of same and other speakers within a window; relations 0-1.

    Args:
        dialogues: positions of the turns.
        speaker: (U,) any codes; only equality counts.
        past: number of earlier turns that send messages to a turn.
        future: number of later turns that do.
    """
    source, target, _ = window_edges(dialogues, past, future)
    return Graph(len(dialogues.row), source, target, (speaker[source] != speaker[target]).long(), SPEAKER)


def hyperwindows(graph: Graph, *, split: bool = False) -> Hypergraph:
    """Return hyperedges that hold all sources of a target (SDR-GNN).

    Args:
        graph: any graph of this module.
        split: one hyperedge for each relation of a target, numbered ``target * relations + relation``.
    """
    if split:
        edge = graph.target * graph.relations + graph.relation
        return Hypergraph(graph.nodes, graph.nodes * graph.relations, graph.source, edge)
    return Hypergraph(graph.nodes, graph.nodes, graph.source, graph.target)
