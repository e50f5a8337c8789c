"""A batch of dialogues as graphs, with what is known of their signals and states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.semantic import Structure
from lacuna.models.layers.spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class DialogueGraphs:
    """A batch as the denoisers see it; padded to the longest dialogue.

    Attributes:
        dialogues: where utterances sit.
        signal: (D, L, W) whitened frame means, zeros where not there.
        here: (D, L, M) bool: the modality is there.
        structure: the graph of near turns and speakers.
        graphs: (D, L, L) each: what nodes are convolved with at any level of noise.
        state: (D, M, N) of what is there; empty without spectrum.
    """

    dialogues: Dialogues
    signal: Tensor
    here: Tensor
    structure: Structure
    graphs: list[Tensor]
    state: Tensor

    def twice(self) -> DialogueGraphs:
        """Every dialogue a second time, after all the others."""
        structure, spectrum = self.structure, self.structure.spectrum
        both = Structure(
            _twice(structure.dense),
            Spectrum(_twice(spectrum.values), _twice(spectrum.vectors)),
            _twice(structure.lengths),
        )
        graphs = [_twice(g) for g in self.graphs]
        return DialogueGraphs(self.dialogues, _twice(self.signal), _twice(self.here), both, graphs, _twice(self.state))


def _twice(x: Tensor) -> Tensor:
    return torch.cat([x, x])
