"""A Markov chain over pairs of emotions, the speaker's and the other's, summed out exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAY, EXCHANGE, NEW = 0, 1, 2  # who speaks: the same as in the turn before, the other of the pair, or somebody else


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
        """log T in the order [own, other, new]: (K, K, K).

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
        likelihood = torch.exp(evidence - evidence.amax(dim=-1, keepdim=True))  # (D, L, K)
        dialogues, turns, classes = likelihood.shape
        ahead = [(start[:, None, None] * start).expand(classes, dialogues, classes)]  # (other, D, own)
        for turn in range(1, turns):
            state = ahead[-1] * likelihood[:, turn - 1]
            state = _passed(state / state.sum(dim=(0, 2), keepdim=True), events[:, turn], start)
            ahead.append(state @ forth)
        behind = [ahead[0].new_ones(classes, dialogues, classes)]
        for turn in range(turns - 1, 0, -1):
            future = (behind[-1] * likelihood[:, turn]) @ back  # (other, D, new) @ (other, new, own)
            future = _passed_back(future, events[:, turn], start)
            behind.append(future / future.amax(dim=(0, 2), keepdim=True))
        message = (torch.stack(ahead) * torch.stack(behind[::-1])).sum(dim=1)  # (L, other, D, own) -> (L, D, own)
        message = message / message.sum(dim=-1, keepdim=True)
        return torch.log(message).transpose(0, 1) - prior  # (L, D, K) -> (D, L, K)


def _passed(state: Tensor, event: Tensor, prior: Tensor) -> Tensor:
    """The pair (other, D, own) as whoever speaks next sees it."""
    exchanged = state.transpose(0, 2)
    newcomer = exchanged.sum(dim=2, keepdim=True) * prior  # the speaker becomes the other; the former other is summed out
    event = event[:, None]
    return torch.where(event == STAY, state, torch.where(event == EXCHANGE, exchanged, newcomer))


def _passed_back(future: Tensor, event: Tensor, prior: Tensor) -> Tensor:
    """The transpose of :func:`_passed`: what the pair of the turn before must expect."""
    exchanged = future.transpose(0, 2)
    newcomer = (future * prior).sum(dim=2, keepdim=True).transpose(0, 2).expand_as(future)  # (1, D, own): the same for each other
    event = event[:, None]
    return torch.where(event == STAY, future, torch.where(event == EXCHANGE, exchanged, newcomer))
