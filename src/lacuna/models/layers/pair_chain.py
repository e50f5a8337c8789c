"""A Markov chain over pairs of emotions, the speaker's and the other's, summed out exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting as exporting

from lacuna.models.layers.loop import loop

STAY, EXCHANGE, NEW = 0, 1, 2  # who speaks: the same as in the turn before, the other of the pair, or somebody else
_NORMALISED_EVERY = 4  # turns; a product of so many smallest transitions is far from underflow


def floor_events(speaker: Tensor, inside: Tensor) -> Tensor:
    """Return who speaks in each turn, relative to the pair of the turn before.

    The other of the pair is the latest earlier speaker who is not the present one. Only equality of codes within a dialogue
    counts, so codes may be local to a dialogue.

    Args:
        speaker: (D, L) int64 codes.
        inside: (D, L) bool, False after the end of a dialogue.

    Returns:
        (D, L) int64, ``STAY``, ``EXCHANGE`` or ``NEW``; the first turn of a dialogue and padding are ``STAY``.
    """
    before = torch.cat([speaker[:, :1], speaker[:, :-1]], dim=1)  # (D, L) speaker of the turn before
    passes = (speaker != before) & inside
    turn = torch.arange(speaker.shape[1], device=speaker.device)
    earlier = turn < turn[:, None]  # (L, L)
    change = torch.where(passes.unsqueeze(1) & earlier, turn, 0).amax(dim=2)  # (D, L) when the floor last passed; 0 = never
    other = speaker.gather(1, (change - 1).clamp_min(0))
    returns = (change == 0) | (speaker == other)
    return torch.where(passes, torch.where(returns, EXCHANGE, NEW), STAY)


class PairChain(nn.Module):
    r"""The belief about each turn's emotion that the other turns of a dialogue pass along.

    With local evidence :math:`\ell_t(n)`, transition :math:`T(n \mid s, o)` of the speaker's emotion from s to n while the other
    feels o, and prior :math:`\pi`:

    .. math::
        P_t(o, n) \propto \sum_s F_{t-1}(o, s)\, T(n \mid s, o), \quad F_t = P_t\, \ell_t, \quad
        B_{t-1}(o, s) \propto \sum_n T(n \mid s, o)\, \ell_t(n)\, B_t(o, n), \quad
        m_t(n) \propto \sum_o P_t(o, n)\, B_t(o, n).

    The first pair is drawn from the prior. Where the floor passes to the other, the pair is exchanged; where it passes to
    somebody else, the emotion of the one who leaves the pair is summed out and the newcomer's is drawn from the prior.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.persistence = nn.Parameter(torch.tensor(1.0))
        self.contagion = nn.Parameter(torch.tensor(0.0))
        self.own = nn.Parameter(torch.zeros(classes, classes))  # of the new emotion (column) by the speaker's (row)
        self.other = nn.Parameter(torch.zeros(classes, classes))  # the same by the other's
        self.both = nn.Parameter(torch.zeros(classes, classes, classes))  # [own, other, new]

    def transition(self, prior: Tensor) -> Tensor:
        """Log T in the order [own, other, new]: (K, K, K).

        Args:
            prior: (K,) log-probabilities.
        """
        equal = torch.eye(len(prior), device=prior.device)
        own = (self.persistence * equal + self.own).unsqueeze(1)  # (K, 1, K)
        other = (self.contagion * equal + self.other).unsqueeze(0)  # (1, K, K)
        return torch.log_softmax(prior + own + other + self.both, dim=-1)

    def forward(self, evidence: Tensor, events: Tensor, prior: Tensor) -> Tensor:
        """Return what the other turns say, as evidence relative to the prior.

        Args:
            evidence: (D, L, K) local log-likelihoods up to a constant a turn; 0 after the end of a dialogue.
            events: (D, L) int64 of :func:`floor_events`.
            prior: (K,) log-probabilities.

        Returns:
            (D, L, K) log m_t - log prior; zero for the turn of a dialogue of one turn.
        """
        if not exporting() and evidence.shape[1] == 1:
            return torch.zeros_like(evidence)
        start = prior.exp()
        kernel = self.transition(prior).exp()  # [own, other, new]
        kernels = torch.stack([kernel.transpose(0, 1), kernel.permute(1, 2, 0)])  # [other, own, new] and [other, new, own]
        likelihood = torch.exp(evidence - evidence.amax(dim=-1, keepdim=True)).transpose(0, 1)  # (L, D, K)
        own, other = likelihood.unsqueeze(1), likelihood.transpose(1, 2).unsqueeze(3)  # (L, 1, D, K) and (L, K, D, 1)
        event = events.T[:, None, :, None]  # (L, 1, D, 1)
        third = exporting() or bool((events == NEW).any())  # dialogues of two need less
        backwards = torch.tensor([False, True], device=event.device)[:, None, None, None]

        def passed(pairs: Tensor, event: Tensor, backwards: Tensor) -> Tensor:
            """Beliefs (..., other, D, own) after the floor passed; the transposed map for what looks back."""
            exchanged = pairs.transpose(1, 3)
            result = torch.where(event == EXCHANGE, exchanged, pairs)
            if third:  # the speaker becomes the other, and the former other is summed out; back: the same whoever that was
                left = torch.where(backwards, pairs * start, exchanged).sum(dim=3, keepdim=True)
                result = torch.where(event == NEW, torch.where(backwards, left.transpose(1, 3), left * start), result)
            return result

        def step(pairs: Tensor, weight: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
            moved = pairs @ kernels  # (2, other, D, own) @ (2, other, own, new)
            return passed(moved * weight, event, backwards), moved

        # Both directions are one recursion. What looks back is multiplied by the likelihood of the turn before the floor passes;
        # there it is that of the other, unless the same person goes on.
        first = start[:, None, None] * start * torch.ones_like(other[:1])  # (1, other, D, own)
        last = torch.ones_like(first)
        until = torch.where(event[1:] == STAY, own[:-1], other[:-1])  # (L - 1, K, D, K)
        weights = torch.stack([own[1:].expand_as(until), until.flip(0)], dim=1)  # (L - 1, 2, K, D, K)
        steps = torch.stack([torch.cat([event[2:], torch.zeros_like(event[:1])]), event[1:].flip(0)], dim=1)  # (L - 1, 2, ...)
        pairs = torch.cat([passed(first * own[:1], event[1:2], backwards[:1]), last * own[-1:]])
        moved = repeat(step, pairs, weights, steps)  # (L - 1, 2, K, D, K)
        ahead = torch.cat([first, moved[:, 0]])  # (L, other, D, own)
        behind = torch.cat([passed(moved[:, 1].flip(0), event[1:], backwards[1:]), last])
        message = (ahead * behind).sum(dim=1)  # (L, D, own)
        message = message / message.sum(dim=-1, keepdim=True)
        return torch.log(message).transpose(0, 1) - prior  # (L, D, K) -> (D, L, K)


def repeat(step: Callable[..., tuple[Tensor, Tensor]], state: Tensor, *inputs: Tensor) -> Tensor:
    """Apply a step to a state once for each row of the inputs; the state is scaled, as only its proportions matter.

    An exported graph gets one loop, because the number of turns is not known then.

    Args:
        step: from a state and a row of each input to the next state and an output.
        state: (2, K, D, K), not negative.
        inputs: (N, ...) each.

    Returns:
        The N outputs, stacked.
    """
    if exporting():

        def scaled(state: Tensor, *rows: Tensor) -> tuple[Tensor, Tensor]:
            state, output = step(state, *rows)
            return state / state.amax(dim=(1, 3), keepdim=True), output

        return loop(scaled, state, *inputs)
    outputs = []
    for number, rows in enumerate(zip(*(x.unbind() for x in inputs), strict=True)):
        state, output = step(state, *rows)
        if number % _NORMALISED_EVERY == 0:
            state = state / state.detach().amax(dim=(1, 3), keepdim=True)
        outputs.append(output)
    return torch.stack(outputs)
