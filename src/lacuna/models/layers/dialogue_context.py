"""Evidence from the other turns of a dialogue, read by a GRU in both directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting as exporting

from lacuna.models.layers.dialogue import reordered, reversal
from lacuna.models.layers.paired_gru import PairedGRU
from lacuna.models.layers.pooling import full_precision


class DialogueContext(nn.Module):
    """A GRU from each side reads the turns before and after a turn, and not the turn itself.

    The input of a step is the neighbouring turn, and whether its speaker is the speaker of this turn. Shapes depend on no values:
    dialogues are padded, and reversed by their lengths.

    Args:
        width: of what is known of a turn.
        hidden: width of each direction.
        out: width of the result.
        dropout: share of units dropped before and after the GRU in training.
    """

    def __init__(self, width: int, hidden: int, out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout))
        self.states = PairedGRU(hidden + 1, hidden)
        self.drop = nn.Dropout(dropout)
        self.head = zero_linear(2 * hidden, out)

    def forward(self, turns: Tensor, speaker: Tensor, inside: Tensor) -> Tensor:
        """Read padded dialogues.

        Args:
            turns: (D, L, width).
            speaker: (D, L) int64 codes.
            inside: (D, L) bool, False after the end of a dialogue.

        Returns:
            (D, L, out); zero from a side on which there is no turn before the output layer is applied.
        """
        content = self.project(turns)  # (D, L, H)
        backwards = reversal(inside)
        with full_precision(content):
            turns = torch.stack([content.float(), reordered(content.float(), backwards)])  # (2, D, L, H)
            speakers = torch.stack([speaker, speaker.gather(1, backwards)])  # (2, D, L)
            ahead, back = _read(self.states, turns, speakers).unbind()
        read = torch.cat([ahead, reordered(back, backwards)], dim=2)  # (D, L, 2 H)
        result: Tensor = self.head(self.drop(read))
        return result


def zero_linear(width: int, out: int) -> nn.Linear:
    """A linear layer that starts from zero evidence."""
    layer = nn.Linear(width, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _read(states: PairedGRU, content: Tensor, speaker: Tensor) -> Tensor:
    """State of each GRU after the turns before each turn: (2, D, L, H), 0 at the first."""
    first = content.new_zeros(*content.shape[:2], 1, states.hidden)
    if not exporting() and content.shape[2] == 1:
        return first
    same = (speaker[..., 1:] == speaker[..., :-1]).unsqueeze(-1).to(content.dtype)  # (2, D, L - 1, 1)
    shifted = torch.cat([content[..., :-1, :], same], dim=3)  # (2, D, L - 1, H + 1)
    return torch.cat([first, states(shifted)], dim=2)
