"""Selective diagonal state space model, scanned in parallel without a custom kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def scan(decay: Tensor, inputs: Tensor) -> Tensor:
    """Return the states of h_t = decay_t h_{t-1} + inputs_t with h_0 = 0, in log2(L) steps.

    Pairs (decay, input) of neighbouring spans are composed, with spans of length 1, 2, 4, ... (Hillis and Steele, CACM 1986). No
    product of decays is inverted, so it is stable for decays near 0.

    Args:
        decay: (B, L, ...), 0 to 1.
        inputs: (B, L, ...).
    """
    span = 1
    while span < inputs.shape[1]:
        inputs = torch.cat([inputs[:, :span], inputs[:, span:] + decay[:, span:] * inputs[:, :-span]], dim=1)
        decay = torch.cat([decay[:, :span], decay[:, span:] * decay[:, :-span]], dim=1)
        span *= 2
    return inputs


class StateSpace(nn.Module):
    r"""Selective diagonal state space model of one direction (S6 of Mamba: Gu and Dao, arXiv 2312.00752), real-valued.

    .. math:: h_t = e^{\Delta_t A} h_{t-1} + \Delta_t B_t x_t, \quad y_t = C_t h_t + D x_t

    with :math:`\Delta_t, B_t, C_t` from :math:`x_t` and A < 0. Where nothing is present the step :math:`\Delta_t` is 0: the state
    stays as it is, as if the turn did not exist. So missing turns and padding count neither as zeros nor as time.

    Args:
        width: d, channels.
        states: N, states of each channel.
    """

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.arange(1, states + 1).float().log().repeat(width, 1))  # (d, N), of -A
        self.step = nn.Linear(width, width)
        nn.init.constant_(self.step.bias, math.log(math.expm1(0.1)))  # softplus of it is 0.1
        self.enter, self.leave = nn.Linear(width, states, bias=False), nn.Linear(width, states, bias=False)
        self.skip = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, L, d) from (B, L, d) with present (B, L) bool; 0 where it is not."""
        x = x * present.unsqueeze(2)
        step = functional.softplus(self.step(x)) * present.unsqueeze(2)  # (B, L, d)
        decay = torch.exp(-step.unsqueeze(3) * self.log_rate.exp())  # (B, L, d, N)
        inputs = (step * x).unsqueeze(3) * self.enter(x).unsqueeze(2)  # (B, L, d, N)
        states = scan(decay, inputs)
        read: Tensor = (states * self.leave(x).unsqueeze(2)).sum(dim=3)  # (B, L, d)
        return read + self.skip * x


class TwoWayStateSpace(nn.Module):
    """Sum of a forward and a backward :class:`StateSpace`."""

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.ahead, self.back = StateSpace(width, states), StateSpace(width, states)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, L, d) from (B, L, d) with present (B, L) bool."""
        forward: Tensor = self.ahead(x, present)
        return forward + self.back(x.flip(1), present.flip(1)).flip(1)  # type: ignore[no-any-return]
