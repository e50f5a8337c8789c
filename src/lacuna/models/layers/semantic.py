"""How strongly a modality connects the turns of a dialogue, as something that can be noised and denoised.

The structural graph S of a dialogue (who is near whom, who speaks) is always known. A modality m weighs its edges by how alike
their ends are: A = S * c, c = 1 - arccos(cos(z_i, z_j)) / pi (MMGCN, Hu et al., ACL 2021). Its state is what it adds to the
structure, A - r S with r the mean of c in training, off the diagonal and where both ends are there; so what is not known adds
nothing. GSDM (Luo et al., TPAMI 2023) and GSDNet (Shou et al., IJCAI 2025) noise eigenvalues alone; the eigenvectors must come
from somewhere then, and those of A are not known when m is missing. Those of S are: with S = U L U^T the state is the diagonal of
U^T (A - r S) U.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.noise import normals
from lacuna.models.layers.spectrum import Spectrum

LESS = 1 - 1e-5  # arccos has no finite slope at 1


@dataclass(frozen=True, eq=False)
class Structure:
    """The graphs of a batch.

    Attributes:
        dense: (D, L, L) S, symmetric and normalised, zeros after the end of a dialogue.
        spectrum: of S.
        lengths: (D,) turns.
    """

    dense: Tensor
    spectrum: Spectrum
    lengths: Tensor

    def within(self, width: int) -> Tensor:
        """(D, width) bool: places before the end of each dialogue."""
        return torch.arange(width, device=self.lengths.device) < self.lengths[:, None]


def pairs(here: Tensor) -> Tensor:
    """(D, L, M) bool -> (D, M, L, L) bool: both turns of a pair have the modality, and they are two."""
    there = here.movedim(2, 1)
    both = there[..., :, None] & there[..., None, :]
    return both & ~torch.eye(here.shape[1], dtype=torch.bool, device=here.device)


def alike(signals: list[Tensor]) -> Tensor:
    """(D, M, L, L) angular likeness c of turns; by modality (D, L, w)."""
    unit = [functional.normalize(x, dim=2, eps=1e-6) for x in signals]
    cosine = torch.stack([x @ x.mT for x in unit], dim=1)
    return 1 - (LESS * cosine).clamp(-LESS, LESS).arccos() / math.pi


class SemanticGraph(nn.Module, ABC):
    """The state of every modality's graph.

    Args:
        modalities: M.
    """

    ratio: Tensor
    scale: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.register_buffer("ratio", torch.full((modalities,), 0.5))
        self.register_buffer("scale", torch.ones(modalities))

    def fit(self, dialogues: Iterable[tuple[Structure, list[Tensor], Tensor]]) -> None:
        """Measure r, then the size of states; ``dialogues`` as the arguments of :meth:`state`."""
        seen = list(dialogues)
        weight = torch.stack([(s.dense[:, None] * pairs(here)).sum(dim=(0, 2, 3)) for s, _, here in seen]).sum(dim=0)
        alikes = torch.stack([(s.dense[:, None] * pairs(here) * alike(x)).sum(dim=(0, 2, 3)) for s, x, here in seen]).sum(dim=0)
        self.ratio.copy_(torch.where(weight > 0, alikes / weight.clamp_min(1e-9), 0.5))
        self.scale.fill_(1)
        states = [self.state(*each) for each in seen]
        square = torch.stack([x.square().sum(dim=(0, 2)) for x in states]).sum(dim=0)
        number = torch.stack([self.real(s).sum() for s, _, _ in seen]).sum()
        size = (square / number).sqrt()
        self.scale.copy_(torch.where(size > 0, size, 1.0))

    def state(self, structure: Structure, signals: list[Tensor], here: Tensor) -> Tensor:
        """The state of what is there, of size 1 in training.

        Args:
            structure: of the batch.
            signals: by modality (D, L, w).
            here: (D, L, M) bool: has the modality.

        Returns:
            (D, M, N), zeros after the end of a dialogue.
        """
        added = structure.dense[:, None] * pairs(here) * (alike(signals) - self.ratio[:, None, None])  # (D, M, L, L)
        return self.slots(structure, added) / self.scale[:, None]

    def coverage(self, structure: Structure, here: Tensor) -> Tensor:
        """(D, M, N): what the structure's known pairs give each slot."""
        return self.slots(structure, structure.dense[:, None] * pairs(here))

    @abstractmethod
    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """(D, M, L, L) -> (D, M, N)."""

    @abstractmethod
    def real(self, structure: Structure) -> Tensor:
        """(D, N) bool: slots that belong to the dialogue."""

    @abstractmethod
    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """(D, M, N) -> (D, M, L, L): S plus the state, with which nodes are convolved."""

    @abstractmethod
    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """(D, M, N) noise that is a function of the keys of the dialogues ((D,) int64), of the seed and of the names."""

    @abstractmethod
    def randn(self, structure: Structure) -> Tensor:
        """(D, M, N) noise for training."""


class EigenvalueState(SemanticGraph):
    """N = K eigenvalues a modality on the basis of the structure; whatever is added to them, the eigenvectors stay."""

    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """diag(U^T A U)."""
        basis = structure.spectrum.vectors[:, None]  # (D, 1, L, K)
        return (basis * (dense @ basis)).sum(dim=2)

    def real(self, structure: Structure) -> Tensor:
        """As many as there are turns, up to K."""
        return structure.within(structure.spectrum.values.shape[1])

    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """S + U diag(state) U^T."""
        basis = structure.spectrum.vectors[:, None]
        return structure.dense[:, None] + (basis * state[:, :, None]) @ basis.mT

    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """One number an eigenvalue."""
        count = structure.spectrum.values.shape[1]
        drawn = [normals(keys, count, seed, *names, str(m)) for m in range(len(self.ratio))]
        return torch.stack(drawn, dim=1) * self.real(structure)[:, None]

    def randn(self, structure: Structure) -> Tensor:
        """One number an eigenvalue."""
        real = self.real(structure)[:, None].float()
        return torch.randn(len(real), len(self.ratio), real.shape[2], device=real.device) * real


class AdjacencyState(SemanticGraph):
    """N = L^2 entries a modality: the whole adjacency is noised, edge or not (GDSS); for comparison.

    Entries are of size 1, and the operator divides by the root of the number of turns: so a noised state has as much energy as
    one of eigenvalues.
    """

    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """The entries themselves."""
        return (dense * self._root(structure)).flatten(2)  # (D, M, L, L) -> (D, M, L L)

    def real(self, structure: Structure) -> Tensor:
        """All pairs of turns."""
        inside = structure.within(structure.dense.shape[1])
        return (inside[:, :, None] & inside[:, None, :]).flatten(1)  # (D, L, L) -> (D, L L)

    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """S + state / sqrt(n)."""
        dense = structure.dense[:, None]
        added: Tensor = state.view(*state.shape[:2], *dense.shape[2:]) / self._root(structure)  # (D, M, L L) -> (D, M, L, L)
        return dense + added

    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """One number a pair; pairs are counted row by row below the diagonal, which no padding changes."""
        size = structure.dense.shape[1]
        count = size * (size + 1) // 2
        drawn = torch.stack([normals(keys, count, seed, *names, str(m)) for m in range(len(self.ratio))], dim=1)
        return self._mirrored(structure, drawn)

    def randn(self, structure: Structure) -> Tensor:
        """One number a pair."""
        size = structure.dense.shape[1]
        shape = (len(structure.lengths), len(self.ratio), size * (size + 1) // 2)
        return self._mirrored(structure, torch.randn(shape, device=structure.dense.device))

    def _mirrored(self, structure: Structure, below: Tensor) -> Tensor:
        size = structure.dense.shape[1]
        row, column = torch.tril_indices(size, size, device=below.device)
        full = below.new_zeros(*below.shape[:2], size, size)
        full[..., row, column] = below
        full[..., column, row] = below
        return full.flatten(2) * self.real(structure)[:, None]

    @staticmethod
    def _root(structure: Structure) -> Tensor:
        return structure.lengths.sqrt()[:, None, None, None]


@dataclass(frozen=True)
class Survival:
    """What noise leaves of a graph.

    Attributes:
        overlap: of the leading eigenvectors before and after, ||U_r^T V_r||_F^2 / r; 1 = the same subspace.
        outside: share of the squared weight that lies where the graph has no edge.
    """

    overlap: float
    outside: float


def survival(clean: Tensor, noisy: Tensor, rank: int) -> Survival:
    """Compare a graph with what noise made of it.

    With noise on eigenvalues the best ``rank`` columns of the old basis are looked for in the whole new one, sorted by how much
    of the old leading subspace each holds: an eigenvector that has fallen behind another in size has survived all the same.

    Args:
        clean: (n, n) symmetric.
        noisy: (n, n) symmetric.
        rank: r, leading eigenvectors that are followed.
    """
    values, before = torch.linalg.eigh(clean.double())
    leading = before[:, values.abs().argsort(descending=True)[:rank]]  # (n, r)
    _, after = torch.linalg.eigh(noisy.double())
    held = (leading.T @ after).square().sum(dim=0)  # (n,) of each new eigenvector
    squared = noisy.double().square()
    outside = squared[clean == 0].sum() / squared.sum()
    return Survival(float(held.topk(rank).values.sum() / rank), float(outside))
