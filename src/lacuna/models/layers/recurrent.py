"""Bidirectional LSTM and GRU over dialogues of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.pooling import full_precision

SHUT = -1e4  # weight that closes a gate: its sigmoid is exactly 0 in every precision


class TwoWayLSTM(nn.Module):
    """Bidirectional LSTM over the turns of each dialogue.

    On a CPU a packed LSTM takes two to three times as long as an unpacked one, but padding all dialogues to the longest doubles
    the work. So dialogues are packed end to end into rows of the length of the longest one, with a gap between two of them. An
    additional input, 1 in gaps, closes the input, forget and output gates. The state is then exactly zero, as at the start: no
    information passes from one dialogue to the next, and gaps have no gradient. Under autocast the network runs in the precision
    of its weights (:func:`~lacuna.models.layers.pooling.full_precision`).

    Args:
        width: units of the input.
        hidden: units of each direction.
        layers: number of layers.
        dropout: dropout rate between two layers.
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        widths = [width] + [2 * hidden] * (layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)
        self.back = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)

    def forward(self, x: Tensor, dialogues: Dialogues) -> Tensor:
        """Return states (U, 2 hidden), in the order of the batch and the precision of the weights, from inputs (U, width)."""
        with full_precision(x):
            return self._read(x.to(next(self.parameters()).dtype), end_to_end(dialogues))

    def _read(self, x: Tensor, rows: Dialogues) -> Tensor:
        """Return states (U, 2 hidden) from inputs (U, width)."""
        gap = 1 - rows.pad(x.new_ones(len(x), 1))  # (U, 1) -> (R, L, 1)
        x = rows.pad(x)  # (U, width) -> (R, L, width)
        for number, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if number:
                x = functional.dropout(x, self.dropout, self.training)
            x = torch.cat([x, gap], dim=2)
            x = torch.cat([_read(ahead, x), _read(back, x.flip(1)).flip(1)], dim=2)
        return rows.flat(x)  # (R, L, 2 hidden) -> (U, 2 hidden)


class TwoWayGRU(nn.Module):
    """Bidirectional GRU over the turns of each dialogue, packed; in the precision of its weights, also under autocast.

    Args:
        width: units of the input.
        hidden: units of each direction.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.states = nn.GRU(width, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, dialogues: Dialogues) -> Tensor:
        """Return states (D, L, 2 hidden), zeros after the end of a dialogue, from inputs (U, width)."""
        padded = dialogues.pad(x)  # (D, L, width)
        with full_precision(x):
            packed = pack_padded_sequence(padded.float(), dialogues.lengths.cpu(), batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.states(packed)[0], batch_first=True, total_length=padded.shape[1])
        return states


def _read(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return states (R, L, hidden) from inputs (R, L, width + 1); 0 where the last input is 1."""
    input_weights, state_weights, *biases = network.parameters()
    hidden = state_weights.shape[1]
    shut = input_weights.new_full((4, hidden), SHUT)
    shut[2] = 0  # the gates are input, forget, cell and output
    weights = [torch.cat([input_weights, shut.view(-1, 1)], dim=1), state_weights, *biases]  # (4, hidden) -> (4 hidden, 1)
    start = inputs.new_zeros(1, len(inputs), hidden)
    return torch.lstm(inputs, (start, start), weights, True, 1, 0.0, network.training, False, True)[0]


def end_to_end(dialogues: Dialogues) -> Dialogues:
    """Pack dialogues into rows by first fit, the longest first, with at least one free place between two dialogues.

    Returns:
        The row of each utterance, its place in the row, and the length of each row.
    """
    lengths = dialogues.lengths.tolist()
    longest = max(lengths)
    row_lengths: list[int] = []
    row, start = [0] * len(lengths), [0] * len(lengths)
    for dialogue in sorted(range(len(lengths)), key=lambda d: -lengths[d]):
        length = lengths[dialogue]
        row_index = next((r for r, row_length in enumerate(row_lengths) if row_length + 1 + length <= longest), len(row_lengths))
        if row_index == len(row_lengths):
            row_lengths.append(-1)
        row[dialogue], start[dialogue] = row_index, row_lengths[row_index] + 1
        row_lengths[row_index] += 1 + length
    rows, starts = torch.tensor([row, start], device=dialogues.row.device)
    column = starts[dialogues.row] + dialogues.column
    return Dialogues(rows[dialogues.row], column, torch.tensor(row_lengths, device=column.device))
