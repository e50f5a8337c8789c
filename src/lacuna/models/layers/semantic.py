"""Semantic graphs of GSDNet: edge weights of each modality, as a state that can be noised and denoised.

The structural graph S of a dialogue (neighbouring turns, speakers) is always known. A modality m multiplies its edges by the
similarity of their ends: A = S * c, c = 1 - arccos(cos(z_i, z_j)) / pi (MMGCN, Hu et al., ACL 2021). The state of the modality
is the difference to the structure, A - r S, where r is the mean of c in training; off the diagonal and where both turns have
the modality. Unknown pairs so contribute nothing. GSDM (Luo et al., TPAMI 2023) and GSDNet (Shou et al., IJCAI 2025) add noise
to eigenvalues only. The eigenvectors of A are unknown when m is missing, those of S = U L U^T are known. So the state is the
diagonal of U^T (A - r S) U.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.noise import normals
from lacuna.models.layers.spectrum import Spectrum

LESS = 1 - 1e-5  # the slope of arccos is infinite at 1


@dataclass(frozen=True, eq=False)
class Structure:
    """Structural graphs of a batch.

    Attributes:
        dense: (D, L, L) S, symmetric and normalised, zeros after the end of a dialogue.
        spectrum: eigenvalues and eigenvectors of S.
        lengths: (D,) number of turns.
    """

    dense: Tensor
    spectrum: Spectrum
    lengths: Tensor

    def within(self, width: int) -> Tensor:
        """Return (D, width) bool: positions before the end of each dialogue."""
        return torch.arange(width, device=self.lengths.device) < self.lengths[:, None]


def pairs(available: Tensor) -> Tensor:
    """Return (D, M, L, L) bool, pairs of different turns that both have the modality, from (D, L, M) bool."""
    has_modality = available.movedim(2, 1)
    both = has_modality[..., :, None] & has_modality[..., None, :]
    return both & ~torch.eye(available.shape[1], dtype=torch.bool, device=available.device)


def similarity(signals: list[Tensor]) -> Tensor:
    """Return the angular similarity c (D, M, L, L) of turns from one (D, L, w) for each modality."""
    unit = [functional.normalize(x, dim=2, eps=1e-6) for x in signals]
    cosine = torch.stack([x @ x.mT for x in unit], dim=1)
    return 1 - (LESS * cosine).clamp(-LESS, LESS).arccos() / math.pi


@dataclass(frozen=True, eq=False)
class DialogueGraphs:
    """Input of the denoisers for a batch, padded to the longest dialogue.

    Attributes:
        dialogues: positions of the utterances.
        signal: (D, L, W) whitened frame means, zeros where missing.
        available: (D, L, M) bool: the turn has the modality.
        structure: graph of neighbouring turns and speakers.
        graphs: (D, L, L) each: adjacencies of the graph convolutions at all noise levels.
        state: (D, M, N) of the available signals; empty without spectrum.
    """

    dialogues: Dialogues
    signal: Tensor
    available: Tensor
    structure: Structure
    graphs: list[Tensor]
    state: Tensor

    def twice(self) -> DialogueGraphs:
        """Return the batch with all dialogues repeated once."""
        structure, spectrum = self.structure, self.structure.spectrum
        both = Structure(
            _twice(structure.dense),
            Spectrum(_twice(spectrum.values), _twice(spectrum.vectors)),
            _twice(structure.lengths),
        )
        graphs = [_twice(g) for g in self.graphs]
        return DialogueGraphs(self.dialogues, _twice(self.signal), _twice(self.available), both, graphs, _twice(self.state))


def _twice(x: Tensor) -> Tensor:
    return torch.cat([x, x])


class SemanticGraph(nn.Module, ABC):
    """State of the graph of each modality.

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
        """Estimate r, then the root mean square of the states; ``dialogues`` holds arguments of :meth:`state`."""
        examples = list(dialogues)
        weight = torch.stack([(s.dense[:, None] * pairs(available)).sum(dim=(0, 2, 3)) for s, _, available in examples]).sum(
            dim=0
        )
        similarities = torch.stack(
            [(s.dense[:, None] * pairs(available) * similarity(x)).sum(dim=(0, 2, 3)) for s, x, available in examples]
        ).sum(dim=0)
        self.ratio.copy_(torch.where(weight > 0, similarities / weight.clamp_min(1e-9), 0.5))
        self.scale.fill_(1)
        states = [self.state(*each) for each in examples]
        squares = torch.stack([x.square().sum(dim=(0, 2)) for x in states]).sum(dim=0)
        n_slots = torch.stack([self.real(s).sum() for s, _, _ in examples]).sum()
        rms = (squares / n_slots).sqrt()
        self.scale.copy_(torch.where(rms > 0, rms, 1.0))

    def state(self, structure: Structure, signals: list[Tensor], available: Tensor) -> Tensor:
        """Return the state of the available signals, with mean square 1 in training.

        Args:
            structure: structural graphs.
            signals: by modality (D, L, w).
            available: (D, L, M) bool: the turn has the modality.

        Returns:
            (D, M, N), zeros after the end of a dialogue.
        """
        added = structure.dense[:, None] * pairs(available) * (similarity(signals) - self.ratio[:, None, None])  # (D, M, L, L)
        return self.slots(structure, added) / self.scale[:, None]

    def coverage(self, structure: Structure, available: Tensor) -> Tensor:
        """Return (D, M, N): the part of the structure in each slot that comes from pairs with the modality."""
        return self.slots(structure, structure.dense[:, None] * pairs(available))

    @abstractmethod
    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """Return states (D, M, N) from matrices (D, M, L, L)."""

    @abstractmethod
    def real(self, structure: Structure) -> Tensor:
        """Return (D, N) bool: slots that belong to the dialogue, not to padding."""

    @abstractmethod
    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """Return adjacencies (D, M, L, L), S plus the state, from states (D, M, N)."""

    @abstractmethod
    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """Return noise (D, M, N) that depends only on the keys of the dialogues ((D,) int64), the seed and the names."""

    @abstractmethod
    def randn(self, structure: Structure) -> Tensor:
        """Return noise (D, M, N) for training, from the global random state."""


class EigenvalueState(SemanticGraph):
    """State of N = K eigenvalues for each modality in the eigenbasis of the structure; noise does not change eigenvectors."""

    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """Return diag(U^T A U)."""
        basis = structure.spectrum.vectors[:, None]  # (D, 1, L, K)
        return (basis * (dense @ basis)).sum(dim=2)

    def real(self, structure: Structure) -> Tensor:
        """Return (D, K) bool: as many slots as turns, at most K."""
        return structure.within(structure.spectrum.values.shape[1])

    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """Return S + U diag(state) U^T."""
        basis = structure.spectrum.vectors[:, None]
        return structure.dense[:, None] + (basis * state[:, :, None]) @ basis.mT

    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """Return one number for each eigenvalue."""
        count = structure.spectrum.values.shape[1]
        drawn = [normals(keys, count, seed, *names, str(m)) for m in range(len(self.ratio))]
        return torch.stack(drawn, dim=1) * self.real(structure)[:, None]

    def randn(self, structure: Structure) -> Tensor:
        """Return one number for each eigenvalue."""
        real = self.real(structure)[:, None].float()
        return torch.randn(len(real), len(self.ratio), real.shape[2], device=real.device) * real


class AdjacencyState(SemanticGraph):
    """State of N = L^2 entries of the adjacency for each modality, with or without an edge (GDSS); for comparison.

    The operator divides by the square root of the number of turns, so a noisy state has the same energy as one of eigenvalues.
    """

    def slots(self, structure: Structure, dense: Tensor) -> Tensor:
        """Return the entries of the matrices."""
        return (dense * self._root(structure)).flatten(2)  # (D, M, L, L) -> (D, M, L L)

    def real(self, structure: Structure) -> Tensor:
        """Return (D, L L) bool: pairs of turns of the dialogue."""
        inside = structure.within(structure.dense.shape[1])
        return (inside[:, :, None] & inside[:, None, :]).flatten(1)  # (D, L, L) -> (D, L L)

    def operator(self, structure: Structure, state: Tensor) -> Tensor:
        """Return S + state / sqrt(n)."""
        dense = structure.dense[:, None]
        added: Tensor = state.view(*state.shape[:2], *dense.shape[2:]) / self._root(structure)  # (D, M, L L) -> (D, M, L, L)
        return dense + added

    def draw(self, structure: Structure, keys: Tensor, seed: int, *names: str) -> Tensor:
        """Return one number for each pair; pairs are numbered row by row below the diagonal, so padding changes none."""
        size = structure.dense.shape[1]
        count = size * (size + 1) // 2
        drawn = torch.stack([normals(keys, count, seed, *names, str(m)) for m in range(len(self.ratio))], dim=1)
        return self._mirrored(structure, drawn)

    def randn(self, structure: Structure) -> Tensor:
        """Return one number for each pair."""
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
    """Effect of noise on a graph.

    Attributes:
        overlap: of the leading eigenvectors before and after noise, ||U_r^T V_r||_F^2 / r; 1 = the same subspace.
        outside: share of the squared weights at pairs without an edge.
    """

    overlap: float
    outside: float


def survival(clean: Tensor, noisy: Tensor, rank: int) -> Survival:
    """Return the effect of noise on a graph.

    The leading subspace is compared with the r new eigenvectors that overlap most with it, so an eigenvector counts as
    preserved if only its rank among the eigenvalues changed.

    Args:
        clean: (n, n) symmetric.
        noisy: (n, n) symmetric.
        rank: r, number of leading eigenvectors.
    """
    values, before = torch.linalg.eigh(clean.double())
    leading = before[:, values.abs().argsort(descending=True)[:rank]]  # (n, r)
    _, after = torch.linalg.eigh(noisy.double())
    overlaps = (leading.T @ after).square().sum(dim=0)  # (n,) of each new eigenvector
    squared = noisy.double().square()
    outside = squared[clean == 0].sum() / squared.sum()
    return Survival(float(overlaps.topk(rank).values.sum() / rank), float(outside))
