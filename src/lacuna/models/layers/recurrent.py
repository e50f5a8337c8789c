"""A recurrent network that reads dialogues in both directions, fast on a CPU too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.pooling import full_precision

SHUT = -1e4  # what closes a gate: its sigmoid is exactly 0 in every precision


class TwoWayLSTM(nn.Module):
    """A bidirectional LSTM over the turns of each dialogue.

    On a CPU a packed LSTM takes two to three times as long as an unpacked one, which oneDNN computes as a whole, backwards too;
    but padding all dialogues to the longest doubles the work again. So dialogues are laid end to end in rows of the length of
    the longest, with a gap between them. An input bit that is on in gaps shuts the input, forget and output gates, which makes
    the state exactly zero, as it is at the start: no dialogue hears another, and gaps have no gradient. Under autocast too it
    is computed in the precision of its weights (:func:`~lacuna.models.layers.pooling.full_precision`).

    Args:
        width: of the input.
        hidden: of each direction.
        layers: one above the other.
        dropout: share of units dropped between two layers in training.
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        widths = [width] + [2 * hidden] * (layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)
        self.back = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)

    def forward(self, x: Tensor, dialogues: Dialogues) -> Tensor:
        """(U, width) -> (U, 2 hidden) in the precision of the weights, in the batch's own order."""
        with full_precision(x):
            return self._read(x.to(next(self.parameters()).dtype), end_to_end(dialogues))

    def _read(self, x: Tensor, rows: Dialogues) -> Tensor:
        """(U, width) -> (U, 2 hidden)."""
        gap = 1 - rows.pad(x.new_ones(len(x), 1))  # (R, L, 1)
        x = rows.pad(x)  # (R, L, width)
        for number, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if number:
                x = functional.dropout(x, self.dropout, self.training)
            x = torch.cat([x, gap], dim=2)
            x = torch.cat([_read(ahead, x), _read(back, x.flip(1)).flip(1)], dim=2)
        return rows.flat(x)


def _read(network: nn.Module, x: Tensor) -> Tensor:
    """(R, L, width + 1) -> (R, L, hidden), zero where the last input is one."""
    inputs, state, *biases = network.parameters()
    hidden = state.shape[1]
    shut = inputs.new_full((4, hidden), SHUT)
    shut[2] = 0  # the gates are input, forget, cell and output
    weights = [torch.cat([inputs, shut.view(-1, 1)], dim=1), state, *biases]  # (4, hidden) -> (4 hidden, 1)
    start = x.new_zeros(1, len(x), hidden)
    return torch.lstm(x, (start, start), weights, True, 1, 0.0, network.training, False, True)[0]


def end_to_end(dialogues: Dialogues) -> Dialogues:
    """Dialogues laid into as few rows as first fit finds, the longest first, at least one free place between two.

    Returns:
        The same utterances: their row, their place in it, and the length of each row.
    """
    lengths = dialogues.lengths.tolist()
    longest = max(lengths)
    filled: list[int] = []
    row, begin = [0] * len(lengths), [0] * len(lengths)
    for dialogue in sorted(range(len(lengths)), key=lambda d: -lengths[d]):
        length = lengths[dialogue]
        fits = next((r for r, end in enumerate(filled) if end + 1 + length <= longest), len(filled))
        if fits == len(filled):
            filled.append(-1)
        row[dialogue], begin[dialogue] = fits, filled[fits] + 1
        filled[fits] += 1 + length
    rows, begins = torch.tensor([row, begin], device=dialogues.row.device)
    column = begins[dialogues.row] + dialogues.column
    return Dialogues(rows[dialogues.row], column, torch.tensor(filled, device=column.device))
