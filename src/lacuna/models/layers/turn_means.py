"""Evidence from the other turns of a dialogue, read off their weighted means."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lacuna.models.layers.dialogue_context import zero_linear

REACHES = (2.0, 6.0, 20.0, 500.0)  # turns, at the start: weights fall to 1/e over that distance
_LEAST = 1e-6  # of a sum of weights


class TurnMeans(nn.Module):
    r"""A linear function of weighted means of the other turns, those of the same speaker and those of others apart.

    With vectors :math:`v_t` of the turns and a learned reach :math:`r`, each mean is
    :math:`\sum_s w_{ts} v_s / \sum_s w_{ts}` with :math:`w_{ts} = \exp(-|t - s| / r)` over the turns s of the group, the turn t
    itself left out. Turns are mapped and means are read linearly, so a few dialogues are enough to learn it.

    Time and memory grow with the square of the longest dialogue of a batch. Shapes depend on no values.

    Args:
        width: of what is known of a turn.
        hidden: width H of the vectors that are averaged.
        out: width of the result.
        dropout: share of the averaged numbers dropped in training.
    """

    def __init__(self, width: int, hidden: int, out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.log_rate = nn.Parameter(-torch.tensor(REACHES).log())
        self.drop = nn.Dropout(dropout)
        self.head = zero_linear(2 * len(REACHES) * hidden, out)

    def forward(self, turns: Tensor, speaker: Tensor, inside: Tensor) -> Tensor:
        """Read padded dialogues.

        Args:
            turns: (D, L, width).
            speaker: (D, L) int64 codes.
            inside: (D, L) bool, False after the end of a dialogue.

        Returns:
            (D, L, out).
        """
        content = self.project(turns).float()  # (D, L, H)
        position = torch.arange(inside.shape[1], device=inside.device)
        distance = (position[:, None] - position).abs()  # (L, L)
        weight = torch.exp(-distance * self.log_rate.exp()[:, None, None])  # (R, L, L)
        pair = inside.unsqueeze(2) & inside.unsqueeze(1) & (distance > 0)  # (D, L, L)
        same = speaker.unsqueeze(2) == speaker.unsqueeze(1)
        groups = torch.stack([pair & same, pair & ~same], dim=1).unsqueeze(2) * weight  # (D, 2, R, L, L)
        shares = groups / groups.sum(dim=-1, keepdim=True).clamp_min(_LEAST)
        means = shares.flatten(1, 2) @ content.unsqueeze(1)  # (D, 2 R, L, H)
        result: Tensor = self.head(self.drop(means.transpose(1, 2).flatten(2)))  # (D, L, 2 R, H) -> (D, L, 2 R * H)
        return result
