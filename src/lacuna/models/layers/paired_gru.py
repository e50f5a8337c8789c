"""Two GRUs of equal size that read two sequences at once, which a CPU does in half of the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting as exporting

from lacuna.models.layers.loop import loop


class PairedGRU(nn.Module):
    """Two GRUs of one layer; the first reads the sequences of the first row, the second those of the second.

    The answers are those of ``torch.nn.GRU``, up to rounding. On a CPU the steps of both networks are one product, and the
    gradient of the weights is one product over all steps. On other devices the networks run one by one.

    Args:
        width: units of the input.
        hidden: H, units of each network.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(nn.GRU(width, hidden, batch_first=True) for _ in range(2))
        self.hidden = hidden

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the states (2, D, L, H), from zero, of inputs (2, D, L, W); L >= 1."""
        if inputs.device.type != "cpu" and not exporting():
            return torch.stack([network(x)[0] for network, x in zip(self.networks, inputs.unbind(), strict=True)])
        return read_pair([list(network.parameters()) for network in self.networks], inputs)


def read_pair(networks: Sequence[Sequence[Tensor]], inputs: Tensor) -> Tensor:
    """Return the states (2, D, L, H) of two GRUs, each on its own sequences, from inputs (2, D, L, W).

    Args:
        networks: of each, in the order of ``torch.nn.GRU``: weights of the input (3 H, W) and of the state (3 H, H), and the two
            biases (3 H,); the three blocks of rows are the reset gate, the update gate and the candidate.
        inputs: L >= 1.
    """
    input_weight, state_weight, input_bias, state_bias = (torch.stack(pair) for pair in zip(*networks, strict=True))
    gates = 2 * state_weight.shape[2]
    bias = input_bias + torch.cat([state_bias[:, :gates], torch.zeros_like(state_bias[:, gates:])], dim=1)
    flat = inputs.transpose(1, 2).flatten(1, 2)  # (2, L * D, W)
    entering = torch.baddbmm(bias.unsqueeze(1), flat, input_weight.transpose(1, 2))
    entering = entering.reshape(2, inputs.shape[2], inputs.shape[1], -1).transpose(0, 1)  # (L, 2, D, 3 H)
    recursion = _exported_steps if exporting() else _Steps.apply
    states: Tensor = recursion(entering, state_weight, state_bias[:, gates:])
    return states.permute(1, 2, 0, 3)  # (L, 2, D, H) -> (2, D, L, H)


def _exported_steps(entering: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What ``_Steps`` returns, as one loop of a graph."""
    hidden = weight.shape[2]
    of_state = weight.transpose(1, 2)  # (2, H, 3 H)

    def step(state: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        recurrent = state @ of_state  # (2, D, 3 H)
        reset, update = (row + recurrent)[..., : 2 * hidden].sigmoid().chunk(2, dim=2)
        new = torch.tanh(row[..., 2 * hidden :] + reset * (recurrent[..., 2 * hidden :] + bias.unsqueeze(1)))
        state = new + update * (state - new)
        return state, state.clone()

    return loop(step, torch.zeros_like(entering[0, ..., :hidden]), entering)


class _Steps(torch.autograd.Function):
    """The recursion of both networks: states (L, 2, D, H) from what enters (L, 2, D, 3 H)."""

    @staticmethod
    def forward(ctx: Any, entering: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        hidden = weight.shape[2]
        of_gates, of_new = weight[:, : 2 * hidden].transpose(1, 2), weight[:, 2 * hidden :].transpose(1, 2)
        state = entering.new_zeros(*entering.shape[1:3], hidden)  # (2, D, H)
        gates: list[Tensor] = []
        recurrent: list[Tensor] = []
        candidates: list[Tensor] = []
        states = [state]
        for gate_input, new_input in zip(entering[..., : 2 * hidden], entering[..., 2 * hidden :], strict=True):
            gate = torch.baddbmm(gate_input, state, of_gates).sigmoid_()  # (2, D, 2 H)
            reset, update = gate.chunk(2, dim=2)
            inner = torch.baddbmm(bias.unsqueeze(1), state, of_new)
            new = torch.addcmul(new_input, reset, inner).tanh_()
            state = torch.lerp(new, state, update)
            for kept, value in ((gates, gate), (recurrent, inner), (candidates, new), (states, state)):
                kept.append(value)
        every = torch.stack(states)
        ctx.save_for_backward(torch.stack(gates), torch.stack(recurrent), torch.stack(candidates), every, weight)
        return every[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, recurrent, new, states, weight = ctx.saved_tensors
        reset, update = gates.chunk(2, dim=3)
        before = states[:-1]
        # Derivatives by the state, of: what enters the candidate, the update gate, and (by the first) the reset gate.
        of_new = (1 - update) * (1 - new * new)
        of_update = (before - new) * update * (1 - update)
        of_reset = recurrent * reset * (1 - reset)
        hidden = weight.shape[2]
        entering = grad.new_empty(*gates.shape[:3], 3 * hidden)  # gradient of what enters
        through = torch.empty_like(entering)  # the same, by way of the state: the candidate's is multiplied by the reset gate
        state = torch.zeros_like(grad[0])
        for step in range(len(grad) - 1, -1, -1):
            state = state + grad[step]
            new_part = state * of_new[step]
            row, back = entering[step], through[step]
            torch.mul(new_part, of_reset[step], out=row[..., :hidden])
            torch.mul(state, of_update[step], out=row[..., hidden : 2 * hidden])
            row[..., 2 * hidden :] = new_part
            back[..., : 2 * hidden] = row[..., : 2 * hidden]
            torch.mul(new_part, reset[step], out=back[..., 2 * hidden :])
            state = torch.baddbmm(state * update[step], back, weight)
        flat = through.transpose(0, 1).flatten(1, 2)  # (2, L * D, 3 H)
        of_weight = flat.transpose(1, 2) @ before.transpose(0, 1).flatten(1, 2)  # (2, 3 H, H)
        return entering, of_weight, flat[..., 2 * hidden :].sum(dim=1)
