"""Adjacency matrices of dialogues and their eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.graph import Graph

TIE = 1e-6  # relative difference below which entries of an eigenvector count as equally large


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues by decreasing absolute value and eigenvectors of symmetric matrices, zero-padded.

    Attributes:
        values: (D, K).
        vectors: (D, L, K), columns of length 1.
    """

    values: Tensor
    vectors: Tensor


def closeness(graph: Graph, dialogues: Dialogues) -> Tensor:
    """Return (E,) 1 / (1 + distance in turns) for each edge."""
    return 1 / (1 + (dialogues.column[graph.source] - dialogues.column[graph.target]).abs().float())


def adjacency(graph: Graph, dialogues: Dialogues, weight: Tensor | None = None) -> Tensor:
    """Return the symmetric normalised adjacency D^-1/2 A D^-1/2 of each dialogue (Kipf and Welling, ICLR 2017).

    A has ones on its diagonal, and each edge in both directions with the larger of the two weights.

    Args:
        graph: edges within dialogues.
        dialogues: positions of the turns.
        weight: (E,) non-negative weight of each edge; ``None`` = 1.

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
    return dense * (root[:, :, None] * root[:, None, :])  # this order of products is exactly symmetric


@dataclass(eq=False)
class Decomposition:
    """Eigendecomposition with a cache: the graph of a dialogue is the same in every epoch.

    A model holds it as a plain attribute, so it is not in the state of the model. The cache does not change results.

    Attributes:
        most: largest number K of eigenpairs of each matrix, by absolute value.
        remembered: largest number of matrices in the cache; a full cache is cleared.
    """

    most: int = 64
    remembered: int = 4096
    _known: dict[bytes, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, dense: Tensor, lengths: Tensor) -> Spectrum:
        """Return the spectrum of each dialogue without its padding, dialogues of one length together.

        With padding, the eigenvectors of a repeated eigenvalue would depend on the padding.

        Args:
            dense: (D, L, L) symmetric.
            lengths: (D,) number of turns of each dialogue.
        """
        matrices = dense.detach().double().cpu()
        sizes = lengths.tolist()
        keys = [matrices[d, :n, :n].contiguous().numpy().tobytes() for d, n in enumerate(sizes)]
        new = {key: (d, n) for d, (key, n) in enumerate(zip(keys, sizes, strict=True)) if key not in self._known}
        if len(self._known) + len(new) > self.remembered:
            self._known.clear()
            new = {key: (d, n) for d, (key, n) in enumerate(zip(keys, sizes, strict=True))}
        for size in sorted({n for _, n in new.values()}):
            of_size = [(key, d) for key, (d, n) in new.items() if n == size]
            values, vectors = eigenpairs(matrices[[d for _, d in of_size], :size, :size], self.most)
            self._known |= {key: (values[i], vectors[i]) for i, (key, _) in enumerate(of_size)}
        kept = min(self.most, dense.shape[1])
        values, vectors = dense.new_zeros(len(sizes), kept), dense.new_zeros(len(sizes), dense.shape[1], kept)
        for d, (key, n) in enumerate(zip(keys, sizes, strict=True)):
            cached_values, cached_vectors = self._known[key]
            values[d, : len(cached_values)] = cached_values.to(values)
            vectors[d, :n, : len(cached_values)] = cached_vectors.to(vectors)
        return Spectrum(values, vectors)


def eigenpairs(dense: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the largest eigenpairs of symmetric matrices of one size.

    The sign of an eigenvector makes its largest entry positive; if several entries are equally large, the first of them.

    Args:
        dense: (B, n, n) float64, so that rounding does not decide which entry is the largest.
        most: largest number of pairs.

    Returns:
        Eigenvalues (B, k) by decreasing absolute value, of equal ones the positive one first, and eigenvectors (B, n, k);
        k = min(n, most).
    """
    values, vectors = torch.linalg.eigh(dense)
    values, vectors = values.flip(1), vectors.flip(2)  # positive ones first
    coarse = (values.abs() / TIE).round()  # rounding does not decide the order of equal values
    order = torch.argsort(coarse, dim=1, descending=True, stable=True)[:, :most]
    values = values.gather(1, order)
    vectors = vectors.gather(2, order[:, None, :].expand(-1, dense.shape[1], -1))
    size = vectors.abs()
    first = (size >= (1 - TIE) * size.amax(dim=1, keepdim=True)).int().argmax(dim=1, keepdim=True)  # (B, 1, k)
    return values, vectors * vectors.gather(1, first).sign()
