"""Ways to combine the predictions of several recognisers, any of which may be missing for an utterance.

Predictions are log-probabilities (U, M, C) of M members, or values (U, M, 1) for regression, and (U, M) bool: the member answers.
At least one member answers each utterance. A way returns unnormalised log-probabilities (U, C) or values (U, 1). What a way
fits, it fits on validation: :meth:`Way.fit`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Target
from lacuna.models.layers.logistic import Array, fit_logistic, fit_ridge

FOLDS = 5  # of the validation dialogues
STRENGTHS = tuple(float(c) for c in 10.0 ** np.arange(-4, 1.01, 0.5))  # values of C of the meta-classifier
STEPS, LEARNING_RATE = 100, 0.1  # largest number of Adam updates of the fusion heads
SMALLEST = 1e-30  # of a probability before its logarithm
Triple = tuple[Tensor, Tensor, Tensor]
Rows = np.ndarray[tuple[int], np.dtype[np.int64]]


class Way(nn.Module):
    """Base of the ways to combine: the weight of a missing member goes to the members that answer.

    Args:
        target: what is predicted.
        members: M.
        heads: H, of :class:`FusionHeads`; the other ways have none.
    """

    def __init__(self, target: Target, members: int, heads: int = 1) -> None:
        super().__init__()
        self.target, self.members, self.heads = target, members, heads
        self.values = target.task == "regression"

    def fit(self, answers: Tensor, answered: Tensor, label: Tensor, dialogue: Tensor) -> None:
        """Fit on labelled validation utterances; a way without parameters does nothing.

        Args:
            answers: (N, M, C).
            answered: (N, M) bool.
            label: (N,) int64, (N, C) float32 or (N,) float32.
            dialogue: (N,) int64 codes; an utterance has the same one under every mask.
        """

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C) from answers (U, M, C) and (U, M) bool."""
        raise NotImplementedError


def mean_over(x: Tensor, answered: Tensor) -> Tensor:
    """Return the mean (U, C) of x (U, M, C) over the members that answer, (U, M) bool."""
    keep = answered.unsqueeze(-1)
    return torch.where(keep, x, 0).sum(dim=1) / keep.sum(dim=1)


class MeanOfProbabilities(Way):
    """Arithmetic mean of the probabilities, or of the values."""

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C)."""
        if self.values:
            return mean_over(answers, answered)
        kept = answers.masked_fill(~answered.unsqueeze(-1), -torch.inf)
        return kept.logsumexp(dim=1) - answered.sum(dim=1, keepdim=True).log()


class MeanOfLogs(Way):
    """Mean of the log-probabilities (a product of experts), or of the values."""

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C)."""
        return mean_over(answers, answered)


class MajorityVote(Way):
    r"""The most frequent choice of the members, of equally frequent ones that with the highest mean probability.

    With n members, v votes and mean probability p of a class, its probability is :math:`(v + p) / (n + 1)`. These sum to one, and
    a class with more votes always has a larger one, because p < 1 for a class that not all members chose. For values the median
    is taken, of an even number of members the mean of the middle two.
    """

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C)."""
        number = answered.sum(dim=1, keepdim=True)  # (U, 1)
        if self.values:
            ordered = answers.squeeze(-1).masked_fill(~answered, torch.inf).sort(dim=1).values  # (U, M, 1) -> (U, M)
            return (ordered.gather(1, (number - 1) // 2) + ordered.gather(1, number // 2)) / 2
        votes = functional.one_hot(answers.argmax(dim=-1), answers.shape[-1]) * answered.unsqueeze(-1)  # (U, M, C)
        shares = (votes.sum(dim=1) + mean_over(answers.exp(), answered)) / (number + 1)
        return shares.clamp_min(SMALLEST).log()


class MetaClassifier(Way):
    """Linear classifier of the concatenated logits of all members, for values a linear regression.

    The logits of a missing member are replaced by the mean over those that answer. It is fitted on folds of the validation
    dialogues: the penalty has the smallest loss on the dialogues left out, and the weights are the average over the folds (a soup
    of meta-classifiers, as in MEDUSA). Before it is fitted, it is the mean of the logits.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, target: Target, members: int, heads: int = 1) -> None:
        super().__init__(target, members, heads)
        self.register_buffer("weight", torch.eye(target.width).repeat(members, 1) / members)
        self.register_buffer("bias", torch.zeros(target.width))

    def inputs(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, M C): centred logits of every member, the mean of the others in place of a missing one."""
        centred = answers if self.values else answers - answers.mean(dim=-1, keepdim=True)
        mean = mean_over(centred, answered).unsqueeze(1)  # (U, 1, C)
        return torch.where(answered.unsqueeze(-1), centred, mean).flatten(1)  # (U, M, C) -> (U, M C)

    def fit(self, answers: Tensor, answered: Tensor, label: Tensor, dialogue: Tensor) -> None:
        """Choose the penalty and average the weights over folds."""
        x = self.inputs(answers, answered).double().cpu().numpy()
        truth = label.double().cpu().numpy()
        if not self.values and label.ndim == 1:
            truth = np.eye(self.target.width)[label.cpu().numpy()]
        losses, fits = np.zeros(len(STRENGTHS)), []
        for kept, left_out in folds_of(dialogue):
            fitted = (fit_ridge if self.values else fit_logistic)(x[kept], truth[kept], STRENGTHS)
            losses += [_loss(x[left_out] @ weight + bias, truth[left_out]) for weight, bias in fitted]
            fits.append(fitted)
        best = int(losses.argmin())
        self.weight.copy_(torch.from_numpy(np.mean([fitted[best][0] for fitted in fits], axis=0)))
        self.bias.copy_(torch.from_numpy(np.mean([fitted[best][1] for fitted in fits], axis=0)))

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C)."""
        return self.inputs(answers, answered) @ self.weight + self.bias


def _loss(answer: Array, truth: Array) -> float:
    """Return the summed squared error of values (N, 1), or the summed cross-entropy of logits (N, C)."""
    if truth.ndim == 1:
        return float(np.square(answer[:, 0] - truth).sum())
    return float(functional.cross_entropy(torch.from_numpy(answer), torch.from_numpy(truth), reduction="sum"))


class FusionHeads(Way):
    r"""Multi-head probability fusion (MHPF): each head has a weight of each member for each class.

    .. math:: q_c = \sum_h \mathrm{softmax}(u)_h \sum_m \mathrm{softmax}_m(W_h)_{mc} \, p_{mc}

    Missing members are left out before the softmax over members, so that their weight goes to the others. Fitted by Adam on the
    task loss of validation; the number of updates has the smallest loss on validation dialogues left out. Before it is fitted, it
    is the mean.
    """

    weights: Tensor
    mix: Tensor

    def __init__(self, target: Target, members: int, heads: int = 1) -> None:
        super().__init__(target, members, heads)
        self.register_buffer("weights", torch.zeros(heads, members, target.width))  # W (H, M, C)
        self.register_buffer("mix", torch.zeros(heads))  # u (H,)

    def forward(self, answers: Tensor, answered: Tensor) -> Tensor:
        """Return (U, C)."""
        return self.fuse(answers, answered, self.weights, self.mix)

    def fuse(self, answers: Tensor, answered: Tensor, weights: Tensor, mix: Tensor) -> Tensor:
        """Return (U, C) with weights (H, M, C) and mix (H,)."""
        kept = weights.masked_fill(~answered[:, None, :, None], -torch.inf).softmax(dim=2)  # (U, H, M, C)
        mixed = torch.einsum("h,uhmc->umc", mix.softmax(dim=0), kept)
        fused = (mixed * (answers if self.values else answers.exp())).sum(dim=1)
        return fused if self.values else fused.clamp_min(SMALLEST).log()

    def fit(self, answers: Tensor, answered: Tensor, label: Tensor, dialogue: Tensor) -> None:
        """Choose the number of updates on dialogues left out, then fit on all of them."""
        answers, answered, label = answers.detach().float().cpu(), answered.cpu(), label.cpu()
        curves = torch.zeros(STEPS + 1, dtype=torch.float64)
        for kept, left_out in folds_of(dialogue, 2):
            curves += self._updates((answers, answered, label), kept, left_out, STEPS)[2]
        rows = np.arange(len(label))
        weights, mix, _ = self._updates((answers, answered, label), rows, rows[:0], int(curves.argmin()))
        self.weights.copy_(weights)
        self.mix.copy_(mix)

    def _updates(self, data: Triple, kept: Rows, left_out: Rows, steps: int) -> Triple:
        """Return weights and mix after some updates on the kept rows, and (steps + 1,) summed losses of the rows left out."""
        draw = torch.Generator().manual_seed(0)  # heads that start equal would stay equal
        weights = (0.1 * torch.randn(self.weights.shape, generator=draw)).requires_grad_()
        mix = torch.zeros(self.heads, requires_grad=True)
        optimizer = torch.optim.Adam([weights, mix], lr=LEARNING_RATE)
        train, held_out = [x[torch.from_numpy(kept)] for x in data], [x[torch.from_numpy(left_out)] for x in data]
        losses = torch.zeros(steps + 1, dtype=torch.float64)
        for step in range(steps + 1):
            if len(left_out):
                with torch.no_grad():
                    losses[step] = self._task_loss(held_out, weights, mix).double() * len(left_out)
            if step < steps:
                with torch.enable_grad():
                    loss = self._task_loss(train, weights, mix)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
        return weights.detach(), mix.detach(), losses

    def _task_loss(self, data: list[Tensor], weights: Tensor, mix: Tensor) -> Tensor:
        answers, answered, label = data
        fused = self.fuse(answers, answered, weights, mix)
        if self.values:
            return functional.smooth_l1_loss(fused.squeeze(-1), label)
        return functional.cross_entropy(fused, label)


def folds_of(dialogue: Tensor, number: int = FOLDS) -> list[tuple[Rows, Rows]]:
    """Return rows to fit on and rows left out of each fold of whole dialogues; one dialogue alone is both.

    Args:
        dialogue: (N,) int64 codes.
        number: most folds.

    Example:
        >>> [(kept.tolist(), left_out.tolist()) for kept, left_out in folds_of(torch.tensor([4, 4, 9]))]
        [([2], [0, 1]), ([0, 1], [2])]
    """
    codes, place = np.unique(dialogue.cpu().numpy(), return_inverse=True)
    rows = np.arange(len(place))
    if len(codes) < 2:
        return [(rows, rows)]
    fold = place % min(number, len(codes))
    return [(rows[fold != k], rows[fold == k]) for k in range(min(number, len(codes)))]


WAYS: dict[str, type[Way]] = {
    "vote": MajorityVote,
    "mean": MeanOfProbabilities,
    "log_mean": MeanOfLogs,
    "linear": MetaClassifier,
    "mhpf": FusionHeads,
    "soup": MeanOfLogs,  # of the one model with the averaged weights
}
