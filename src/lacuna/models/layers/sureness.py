r"""What the validation split says about the predictions of a trained model: prediction sets, intervals, and when to abstain.

**Prediction sets** are split conformal (Vovk et al., Algorithmic Learning in a Random World, 2005), with one calibration for each
set of available modalities (Mondrian). The score of a class is adaptive (Romano, Sesia and Candès, Classification with Valid and
Adaptive Coverage, NeurIPS 2020): the summed probability of the classes that are more probable, without the class itself and
without randomisation, so that the most probable class is in every set and equal predictions have equal sets. The coverage is
therefore larger than wanted where the share of right predictions already is. The score of a value is its absolute error
divided by the standard deviation that the model gives it (Lei et al., Distribution-Free Predictive Inference for Regression, JASA
2018), so that the interval is wide where the model is unsure; a model that gives none has intervals of one width.

Utterances of one dialogue are dependent; what is exchangeable are dialogues. So each score has the weight
:math:`1 / ((K + 1)\, n_k)`, where :math:`n_k` scores are from its dialogue, one of K, and the rest of the weight is at infinity
(Lee, Barber and Willett, Distribution-free Inference with Hierarchical Data, 2023). The set then holds the truth of a random
utterance of a new dialogue with the wanted probability.

MAPIE, crepes and TorchCP compute the same quantiles for exchangeable utterances; none of them weights scores by dialogue. MAPIE
needs an estimator in the form of scikit-learn and TorchCP a loader of inputs; crepes takes scores with categories, but its result
is no part of the model's state, which checkpoints and stored runs carry. What would remain of them is a quantile.

**Abstention**: the lowest confidence above which at most the wanted share of the validation predictions is wrong. It is chosen on
validation and therefore has no guarantee; reports measure it on the test split.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.models.layers.added_modality import AddedModality
from lacuna.models.layers.temperature import n_patterns, pattern_code

ERRORS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)  # wanted shares of misses, for which thresholds are stored
LEAST = 20  # dialogues with a set of modalities; with fewer, its scores are merged with those of other sets
UNFITTED, OWN, SAME_NUMBER, ALL, UNSEEN = -1, 0, 1, 2, 3  # whose scores give the thresholds of a set of modalities
MERGED = {
    OWN: "",
    SAME_NUMBER: "merged with the other sets of as many modalities",
    ALL: "merged with all sets of modalities",
    UNSEEN: "never seen on validation: thresholds of all sets of modalities, no guarantee",
}


class Sets(NamedTuple):
    """Prediction sets of U utterances.

    Attributes:
        member: (U, C) bool, the class is in the set; for values (U, 1), always true.
        reach: (U,) float64, half width of the interval around a value; for classes the threshold.
        merged: (U,) int64, whose scores gave the threshold: a key of :data:`MERGED`, or -1 if nothing was fitted.
    """

    member: Tensor
    reach: Tensor
    merged: Tensor


class Sureness(nn.Module):
    """Thresholds of prediction sets by set of available modalities, and of abstention, fitted on validation.

    Args:
        modalities: M.

    Attributes:
        reach: (P, A) largest score inside the set, by set of modalities and wanted share of misses; inf = the set is everything.
        merged: (P,) int64, whose scores were used.
        scaled: () bool, the scores of values were divided by the spread; false in models of earlier versions.
        confidence: (A,) lowest confidence of a prediction that is sure enough, by wanted share of errors.
        added: how much the loss falls when a modality is added to those that were observed.
    """

    reach: Tensor
    merged: Tensor
    scaled: Tensor
    confidence: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.modalities = modalities
        patterns = n_patterns(modalities)
        self.register_buffer("reach", torch.full((patterns, len(ERRORS)), torch.inf))
        self.register_buffer("merged", torch.full((patterns,), UNFITTED))
        self.register_buffer("scaled", torch.zeros((), dtype=torch.bool))
        self.added = AddedModality(modalities)
        self.register_buffer("confidence", torch.full((len(ERRORS),), torch.inf))

    @property
    def fitted(self) -> bool:
        """Whether there are thresholds."""
        return bool((self.merged != UNFITTED).any())

    def fit(
        self, target: Target, logits: Tensor, label: Tensor, available: Tensor, dialogue: Tensor, *, spread: Tensor | None = None
    ) -> None:
        """Choose all thresholds.

        Args:
            target: what is predicted.
            logits: (N, C) logits or (N, 1) values of labelled validation utterances, under any number of masks.
            label: (N,) int64, (N, C) float32 or (N,) float32.
            available: (N, M) bool.
            dialogue: (N,) int64 codes; an utterance has the same one under every mask.
            spread: (N,) standard deviations of the values (:attr:`lacuna.models.base.Prediction.spread`); ``None`` = all are 1.
        """
        if not len(label):
            return
        logits, label, available, dialogue = logits.double().cpu(), label.cpu(), available.cpu(), dialogue.cpu()
        scores, pattern, size = scores_of(target, logits, label), pattern_code(available), available.sum(dim=1)
        if target.task == "regression" and spread is not None:
            scores = scores / spread.double().cpu()
        self.scaled.fill_(True)
        for code in range(len(self.merged)):
            own = pattern == code
            number = size == (code.bit_count() if len(self.merged) == 2**self.modalities else code)
            groups = ((OWN, own), (SAME_NUMBER, number), (ALL, torch.ones_like(own)))
            merged, chosen = next((g for g in groups if len(set(dialogue[g[1]].tolist())) >= LEAST), groups[-1])
            self.merged[code] = merged if own.any() else UNSEEN
            self.reach[code] = hierarchical_quantiles(scores[chosen], dialogue[chosen])
        if target.task != "regression":
            confidence, predicted = logits.softmax(dim=1).max(dim=1)
            self.confidence.copy_(sure_enough(confidence, predicted == true_class(target, label)))

    def sets(
        self, target: Target, logits: Tensor, available: Tensor, error: float = 0.1, *, spread: Tensor | None = None
    ) -> Sets:
        """Return prediction sets that miss the truth with at most the wanted probability.

        Args:
            target: what is predicted.
            logits: (U, C) logits or (U, 1) values.
            available: (U, M) bool.
            error: wanted share of misses; the next smaller one of :data:`ERRORS` is used.
            spread: (U,) standard deviations of the values; ``None`` = all are 1.
        """
        pattern = pattern_code(available)
        reach = self.reach.to(logits.device, torch.float64)[pattern, place_of(error)]  # (U,)
        if target.task == "regression":
            member = torch.ones_like(logits, dtype=torch.bool)
            if spread is not None and self.scaled:
                reach = reach * spread.double()
        else:
            p = logits.double().softmax(dim=1)
            member = adaptive_scores(p) <= reach.unsqueeze(1) + 1e-6
        return Sets(member, reach, self.merged.to(logits.device)[pattern])

    def sure(self, confidence: Tensor, error: float = 0.1) -> Tensor:
        """Return which predictions are sure enough that at most the wanted share of them is wrong: (U,) -> (U,) bool."""
        return confidence >= self.confidence[place_of(error)].to(confidence.device, confidence.dtype) - 1e-6


def place_of(error: float) -> int:
    """Return the position of the largest stored share that is not above the wanted one.

    Raises:
        ConfigError: the wanted share is below the smallest stored one, or not below 1.

    >>> ERRORS[place_of(0.12)]
    0.1
    """
    if not ERRORS[0] <= error < 1:
        raise ConfigError(f"the accepted share of errors must be from {ERRORS[0]} to below 1; found {error}")
    return max(i for i, e in enumerate(ERRORS) if e <= error + 1e-9)


def true_class(target: Target, label: Tensor) -> Tensor:
    """Return the class of each label, of soft labels the most probable one: (N,) or (N, C) -> (N,) int64."""
    return label.argmax(dim=1) if target.task == "soft" else label.long()


_PAIRWISE_CLASSES = 64  # above this, comparing all pairs of classes needs too much memory


def adaptive_scores(p: Tensor) -> Tensor:
    """Return for each class the summed probability of the classes that are more probable: (N, C) -> (N, C)."""
    if p.shape[1] > _PAIRWISE_CLASSES:  # the same sums in C log C steps, in another order of addition
        ordered = p.sort(dim=1).values
        above = torch.cat(
            [ordered.flip(1).cumsum(dim=1).flip(1), torch.zeros_like(p[:, :1])], dim=1
        )  # (N, C + 1) sums from a rank
        return above.gather(1, torch.searchsorted(ordered, p.contiguous(), right=True))
    return (p.unsqueeze(1) * (p.unsqueeze(1) > p.unsqueeze(2))).sum(dim=2)  # (N, C, C): [n, c, d] is p_d where p_d > p_c


def scores_of(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Return the conformity score of the truth: (N,) float64, larger = less expected."""
    if target.task == "regression":
        return (logits[:, 0] - label).abs()
    return adaptive_scores(logits.softmax(dim=1)).gather(1, true_class(target, label).unsqueeze(1)).squeeze(1)  # (N, 1) -> (N,)


def hierarchical_quantiles(scores: Tensor, dialogue: Tensor) -> Tensor:
    """Return for each of :data:`ERRORS` the smallest score that enough weight lies at or below; inf if none is.

    Args:
        scores: (N,) float64.
        dialogue: (N,) int64 codes.

    Returns:
        (A,) float64.

    Example:
        >>> reach = hierarchical_quantiles(torch.arange(19).double(), torch.arange(19))  # a dialogue each: plain split conformal
        >>> reach[[2, 3]].tolist()  # misses of 0.05 and of 0.1
        [18.0, 17.0]
    """
    _, place, number = dialogue.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    order = scores.argsort()
    weight = (1 / ((len(number) + 1) * number.double()))[place[order]].cumsum(dim=0)  # (N,)
    wanted = 1 - torch.tensor(ERRORS, dtype=torch.float64)
    at = torch.searchsorted(weight, wanted - 1e-9)
    return torch.cat([scores[order], scores.new_full((1,), torch.inf)])[at]


def sure_enough(confidence: Tensor, right: Tensor) -> Tensor:
    """Return for each of :data:`ERRORS` the lowest confidence from which on few enough predictions are wrong; inf if none is.

    One error more than observed is counted, so that a few predictions that happen to be right are not enough.

    Args:
        confidence: (N,) float64.
        right: (N,) bool.
    """
    confidence, order = confidence.sort(descending=True, stable=True)
    kept = torch.arange(1, len(order) + 1, dtype=torch.float64)
    error = ((~right[order]).cumsum(dim=0) + 1) / (kept + 1)
    last = torch.cat([confidence[1:] < confidence[:-1], torch.ones(1, dtype=torch.bool)])  # of equal confidences
    thresholds = []
    for wanted in ERRORS:
        good = torch.nonzero((error <= wanted) & last).squeeze(1)  # (G, 1) -> (G,)
        thresholds.append(confidence[good[-1]] if len(good) else confidence.new_tensor(torch.inf))
    return torch.stack(thresholds)
