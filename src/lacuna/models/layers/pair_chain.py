"""A Markov chain over pairs of emotions, the speaker's and the other's, summed out exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
    events = torch.zeros_like(speaker)
    own, other = speaker[:, 0], torch.full_like(speaker[:, 0], -1)
    known = torch.zeros_like(own, dtype=torch.bool)  # the pair has another
    for turn in range(1, speaker.shape[1]):
        new = speaker[:, turn]
        passes = (new != own) & inside[:, turn]
        back = known & (new == other)
        events[:, turn] = torch.where(passes, torch.where(back | ~known, EXCHANGE, NEW), STAY)
        other = torch.where(passes, own, other)
        own = torch.where(passes, new, own)
        known = known | passes
    return events


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
        start = prior.exp()
        kernel = self.transition(prior).exp()  # [own, other, new]
        forth, back = kernel.transpose(0, 1), kernel.permute(1, 2, 0)  # [other, own, new] and [other, new, own]
        likelihood = torch.exp(evidence - evidence.amax(dim=-1, keepdim=True)).unbind(dim=1)  # L of (D, K)
        dialogues, turns, classes = evidence.shape
        exchanges, newcomers = ((events == e).T[:, None, :, None].unbind() for e in (EXCHANGE, NEW))  # L of (1, D, 1)
        third = bool((events == NEW).any())  # dialogues of two need less
        state = (start[:, None, None] * start).expand(classes, dialogues, classes)  # (other, D, own)
        ahead = [state]
        for turn in range(1, turns):
            state = state * likelihood[turn - 1]
            if turn % _NORMALISED_EVERY == 0:
                state = state / state.sum(dim=(0, 2), keepdim=True)
            exchanged = state.transpose(0, 2)
            passed = torch.where(exchanges[turn], exchanged, state)
            if third:  # the speaker becomes the other, and the former other is summed out
                passed = torch.where(newcomers[turn], exchanged.sum(dim=2, keepdim=True) * start, passed)
            state = passed @ forth
            ahead.append(state)
        future = torch.ones_like(state)
        behind = [future]
        for turn in range(turns - 1, 0, -1):
            future = (future * likelihood[turn]) @ back  # (other, D, new) @ (other, new, own)
            if turn % _NORMALISED_EVERY == 0:
                future = future / future.amax(dim=(0, 2), keepdim=True)
            passed = torch.where(exchanges[turn], future.transpose(0, 2), future)
            if third:  # the transpose of the step above: the same whatever the former other feels
                expected = (future * start).sum(dim=2, keepdim=True).transpose(0, 2)  # (1, D, own)
                passed = torch.where(newcomers[turn], expected, passed)
            future = passed
            behind.append(future)
        joint = torch.stack(ahead) * torch.stack(behind[::-1])  # (L, other, D, own)
        message = joint.sum(dim=1)  # (L, D, own)
        message = message / message.sum(dim=-1, keepdim=True)
        return torch.log(message).transpose(0, 1) - prior  # (L, D, K) -> (D, L, K)
