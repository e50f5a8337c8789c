"""Graphs of dialogues as dense matrices, and their eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.graph import Graph

TIE = 1e-6  # entries of an eigenvector whose sizes differ by less, relative to the largest, count as equal


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues, the largest in size first, and eigenvectors of symmetric matrices; zeros after a dialogue's own.

    Attributes:
        values: (D, K).
        vectors: (D, L, K), columns of length 1.
    """

    values: Tensor
    vectors: Tensor


def closeness(graph: Graph, dialogues: Dialogues) -> Tensor:
    """(E,) one over one plus the distance in turns of the edge's ends."""
    return 1 / (1 + (dialogues.column[graph.source] - dialogues.column[graph.target]).abs().float())


def adjacency(graph: Graph, dialogues: Dialogues, weight: Tensor | None = None) -> Tensor:
    """The symmetric normalised adjacency D^-1/2 A D^-1/2 of every dialogue (Kipf and Welling, ICLR 2017).

    A has ones on its diagonal, and each edge in both directions with the larger weight of the two.

    Args:
        graph: edges within dialogues.
        dialogues: where its nodes sit; :func:`by_modality` for the multimodal graph.
        weight: (E,) of each edge, not negative; ``None`` = 1.

    Returns:
        (D, L, L), zeros after the end of a dialogue.
    """
    row, column, longest = dialogues.row, dialogues.column, int(dialogues.lengths.max())
    weight = torch.ones(len(graph.source), device=row.device) if weight is None else weight
    dense = weight.new_zeros(len(dialogues.lengths), longest, longest)
    dense[row[graph.target], column[graph.target], column[graph.source]] = weight
    dense = torch.maximum(dense, dense.mT)
    dense[row, column, column] = 1
    root = dense.sum(dim=2).clamp_min(torch.finfo(dense.dtype).tiny).rsqrt()  # an empty row stays empty
    return dense * (root[:, :, None] * root[:, None, :])  # in this order exactly symmetric


@dataclass(eq=False)
class Decomposition:
    """Decompose matrices, remembering those that were seen: a dialogue's graph is the same in every epoch.

    Held by the model that uses it, as a plain attribute, so it is part of no state. What comes out is the same with and without.

    Attributes:
        most: eigenpairs that are kept of each matrix, the largest in size.
        remembered: matrices that may be remembered; when they are so many, all are forgotten.
    """

    most: int = 64
    remembered: int = 4096
    _known: dict[bytes, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, dense: Tensor, lengths: Tensor) -> Spectrum:
        """Decompose each dialogue without its padding, those of one length together.

        Padding could not be decomposed along: an eigenvalue that occurs twice may have any basis of its space, and padding
        would turn that basis.

        Args:
            dense: (D, L, L) symmetric.
            lengths: (D,) nodes of each dialogue.
        """
        matrices = dense.detach().double().cpu()
        sizes = lengths.tolist()
        keys = [matrices[d, :n, :n].contiguous().numpy().tobytes() for d, n in enumerate(sizes)]
        new = {key: (d, n) for d, (key, n) in enumerate(zip(keys, sizes, strict=True)) if key not in self._known}
        if len(self._known) + len(new) > self.remembered:
            self._known.clear()
            new = {key: (d, n) for d, (key, n) in enumerate(zip(keys, sizes, strict=True))}
        for size in sorted({n for _, n in new.values()}):
            same = [(key, d) for key, (d, n) in new.items() if n == size]
            values, vectors = eigenpairs(matrices[[d for _, d in same], :size, :size], self.most)
            self._known |= {key: (values[i], vectors[i]) for i, (key, _) in enumerate(same)}
        kept = min(self.most, dense.shape[1])
        values, vectors = dense.new_zeros(len(sizes), kept), dense.new_zeros(len(sizes), dense.shape[1], kept)
        for d, (key, n) in enumerate(zip(keys, sizes, strict=True)):
            found, basis = self._known[key]
            values[d, : len(found)] = found.to(values)
            vectors[d, :n, : len(found)] = basis.to(vectors)
        return Spectrum(values, vectors)


def eigenpairs(dense: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The largest eigenpairs of symmetric matrices of one size.

    The sign is that which makes the largest entry positive; of entries that are equally large, as in every symmetric graph, the
    first one.

    Args:
        dense: (B, n, n) float64, so that rounding does not decide which entry is the largest.
        most: at most so many pairs.

    Returns:
        (B, k) by falling size, of equal sizes the positive one first, and (B, n, k); k = min(n, most).
    """
    values, vectors = torch.linalg.eigh(dense)
    values, vectors = values.flip(1), vectors.flip(2)  # positive ones first
    coarse = (values.abs() / TIE).round()  # rounding does not decide which of two equal sizes is first
    order = torch.argsort(coarse, dim=1, descending=True, stable=True)[:, :most]
    values = values.gather(1, order)
    vectors = vectors.gather(2, order[:, None, :].expand(-1, dense.shape[1], -1))
    size = vectors.abs()
    first = (size >= (1 - TIE) * size.amax(dim=1, keepdim=True)).int().argmax(dim=1, keepdim=True)  # (B, 1, k)
    return values, vectors * vectors.gather(1, first).sign()
