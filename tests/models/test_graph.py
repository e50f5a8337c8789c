"""Conversation graphs: who hears whom, whatever the order of the batch, and their eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.graph import (
    OTHER,
    SAME,
    Graph,
    hyperwindows,
    speakers,
    temporal,
)
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness, eigenpairs

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)
WINDOW = st.integers(0, 4)


def laid(lengths: list[int], order: Tensor | None = None) -> Dialogues:
    """Dialogues of these lengths, their utterances end to end or in another order."""
    sizes = torch.tensor(lengths)
    row = torch.arange(len(lengths)).repeat_interleave(sizes)
    column = torch.cat([torch.arange(n) for n in lengths])
    order = torch.arange(len(row)) if order is None else order
    return Dialogues(row[order], column[order], sizes)


def edges(graph: Graph, names: Tensor | None = None) -> set[tuple[int, int, int]]:
    names = torch.arange(graph.nodes) if names is None else names
    return set(zip(names[graph.source].tolist(), names[graph.target].tolist(), graph.relation.tolist(), strict=True))


def kinds(dialogues: Dialogues, past: int, future: int, cast: int = 4) -> dict[str, Graph]:
    speaker = (dialogues.row * 7 + dialogues.column * 3) % cast
    return {
        "temporal": temporal(dialogues, past, future),
        "speaker": speakers(dialogues, speaker, past, future),
    }


@given(LENGTHS, WINDOW, WINDOW)
@settings(deadline=None)
def test_edges_stay_in_a_dialogue_and_occur_once_in_order_of_their_target(lengths: list[int], past: int, future: int) -> None:
    where = laid(lengths)
    for graph in kinds(where, past, future).values():
        assert torch.equal(where.row[graph.source], where.row[graph.target])
        assert len(edges(graph)) == len(graph.source)
        assert (graph.target.diff() >= 0).all()
        assert graph.relation.min() >= 0
        assert graph.relation.max() < graph.relations
        assert {x.dtype for x in (graph.source, graph.target, graph.relation)} == {torch.int64}
        loops = graph.source[graph.source == graph.target]
        assert torch.equal(loops.sort().values, torch.arange(graph.nodes))


@given(LENGTHS, WINDOW, WINDOW)
@settings(deadline=None)
def test_a_turn_hears_its_window_and_knows_what_came_before(lengths: list[int], past: int, future: int) -> None:
    dialogues = laid(lengths)
    heard = edges(temporal(dialogues, past, future))
    expected, first = set(), 0
    for n in lengths:
        for i in range(n):
            for j in range(max(0, i - past), min(n, i + future + 1)):
                expected.add((first + j, first + i, 1 + (j > i) - (j < i)))
        first += n
    assert heard == expected


@given(LENGTHS, WINDOW, st.integers(1, 6))
@settings(deadline=None)
def test_equal_windows_make_every_edge_go_both_ways(lengths: list[int], reach: int, cast: int) -> None:
    for graph in kinds(laid(lengths), reach, reach, cast=cast).values():
        both = {(i, j) for i, j, _ in edges(graph)}
        assert both == {(j, i) for i, j in both}


@given(LENGTHS, WINDOW, WINDOW, st.integers(0, 99))
@settings(deadline=None)
def test_the_order_of_the_batch_does_not_matter(lengths: list[int], past: int, future: int, seed: int) -> None:
    n = sum(lengths)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    straight, mixed = kinds(laid(lengths), past, future), kinds(laid(lengths, order), past, future)
    for name in straight:
        assert edges(mixed[name], order) == edges(straight[name])


@pytest.mark.parametrize("cast", [1, 2, 9])
def test_speakers_are_same_or_other_however_many_and_whatever_their_codes(cast: int) -> None:
    dialogues = laid([9, 1])
    speaker = dialogues.column % cast
    graph = speakers(dialogues, speaker, 3, 3)
    for i, j, relation in edges(graph):
        assert relation == (SAME if speaker[i] == speaker[j] else OTHER)
    assert edges(speakers(dialogues, 1000 - 7 * speaker, 3, 3)) == edges(graph)


def test_a_hyperedge_holds_what_a_turn_hears() -> None:
    dialogues = laid([5, 1])
    graph = speakers(dialogues, dialogues.column % 2, 2, 1)
    whole, parts = hyperwindows(graph), hyperwindows(graph, split=True)
    assert whole.index.tolist() == [graph.source.tolist(), graph.target.tolist()]
    assert torch.equal(parts.edge // graph.relations, graph.target)
    assert torch.equal(parts.edge % graph.relations, graph.relation)
    assert int(parts.edge.max()) < parts.edges
    assert edges(graph.only(SAME)) == {e for e in edges(graph) if e[2] == SAME}


@pytest.mark.parametrize("length", [1, 200])
def test_short_and_long_dialogues(length: int) -> None:
    where = laid([length])
    for graph in kinds(where, 2, 3).values():
        dense = adjacency(graph, where)
        assert torch.isfinite(dense).all()
        found = Decomposition(most=1000)(dense, where.lengths)
        rebuilt = found.vectors @ torch.diag_embed(found.values) @ found.vectors.mT
        torch.testing.assert_close(rebuilt, dense, rtol=1e-4, atol=1e-5)
    assert len(temporal(laid([length]), 2, 3).source) == (1 if length == 1 else 6 * 200 - 3 - 6)


@given(LENGTHS, WINDOW, WINDOW)
@settings(deadline=None, max_examples=30)
def test_adjacency_is_symmetric_normalised_and_zero_in_padding(lengths: list[int], past: int, future: int) -> None:
    where = laid(lengths)
    for graph in kinds(where, past, future).values():
        dense = adjacency(graph, where, closeness(graph, where))
        assert torch.equal(dense, dense.mT)
        there = torch.arange(dense.shape[1]) < where.lengths[:, None]
        assert (dense[~there] == 0).all()
        assert (dense.diagonal(dim1=1, dim2=2)[there] > 0).all()
        values = torch.linalg.eigvalsh(dense.double())
        assert values.abs().max() <= 1 + 1e-5
        torch.testing.assert_close(values[:, -1], torch.ones(len(dense)).double(), atol=1e-5, rtol=0)


def test_adjacency_of_a_window_by_hand() -> None:
    dense = adjacency(temporal(laid([3]), 1, 0), laid([3]))[0]  # one-sided edges count both ways
    degree = torch.tensor([2.0, 3.0, 2.0])
    expected = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]]) / (degree[:, None] * degree).sqrt()
    torch.testing.assert_close(dense, expected)


@given(LENGTHS, st.integers(0, 3), st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_decomposition_rebuilds_and_ignores_padding_and_company(lengths: list[int], reach: int, most: int) -> None:
    where = laid(lengths)
    for graph in kinds(where, reach, reach).values():
        dense = adjacency(graph, where)
        whole = Decomposition(most=1000)(dense, where.lengths)
        torch.testing.assert_close(whole.vectors @ torch.diag_embed(whole.values) @ whole.vectors.mT, dense, rtol=1e-4, atol=1e-5)
        cut = Decomposition(most=most)(dense, where.lengths)
        kept = min(most, dense.shape[1])
        assert torch.equal(cut.values, whole.values[:, :kept])
        assert torch.equal(cut.vectors, whole.vectors[:, :, :kept])
        assert (whole.values.abs().diff(dim=1) <= 1e-5).all()
        for d, n in enumerate(where.lengths.tolist()):
            alone = Decomposition(most=1000)(dense[d : d + 1, :n, :n], where.lengths[d : d + 1])
            assert torch.equal(alone.values[0], whole.values[d, :n])
            assert torch.equal(alone.vectors[0], whole.vectors[d, :n, :n])
            assert (whole.values[d, n:] == 0).all()
            assert (whole.vectors[d, n:] == 0).all()
            assert (whole.vectors[d, :, n:] == 0).all()


def test_signs_are_fixed_although_windows_are_symmetric() -> None:
    """Half of the eigenvectors of a window graph read the same backwards but for their sign: rounding may not choose it."""
    dense = adjacency(temporal(laid([30]), 2, 2), laid([30])).double()
    noise = torch.randn(8, 30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, vectors = eigenpairs(dense + 1e-13 * (noise + noise.mT), 10)
    _, exact = eigenpairs(dense, 10)
    torch.testing.assert_close(vectors, exact.expand_as(vectors), rtol=0, atol=1e-8)
    largest = exact.abs().amax(dim=1, keepdim=True)
    first = (exact.abs() > (1 - 1e-6) * largest).int().argmax(dim=1, keepdim=True)
    assert (exact.gather(1, first) > 0).all()


def test_what_was_decomposed_is_remembered_and_never_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(dense: Tensor, most: int) -> tuple[Tensor, Tensor]:
        calls.append(len(dense))
        return eigenpairs(dense, most)

    monkeypatch.setattr("lacuna.models.layers.spectrum.eigenpairs", counted)
    where = laid([4, 6, 4])
    dense = adjacency(temporal(where, 1, 1), where)
    decompose = Decomposition(most=8, remembered=3)
    first = decompose(dense, where.lengths)
    assert calls == [1, 1]  # two sizes; the third dialogue looks like the first
    again = decompose(dense, where.lengths)
    assert len(calls) == 2
    assert torch.equal(first.vectors, again.vectors)
    other = laid([2, 3])
    decompose(adjacency(temporal(other, 1, 1), other), other.lengths)
    assert len(decompose._known) == 2
    np.testing.assert_array_equal(first.values, decompose(dense, where.lengths).values)
