"""Bias words: words that are associated with a class significantly, whatever the sizes of the classes.

The code of CIDer compares raw counts between classes, so class imbalance alone makes neutral words biased. Here the statistic
is the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn, "Fightin' Words", Political Analysis 2008),
with a bound on the false discovery rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lacuna.errors import DataError
from lacuna.models.config import Maci


def document_counts(tokens: Tensor, present: Tensor, weights: Tensor, vocabulary: int) -> Tensor:
    """Return the number of utterances of each class in which each word occurs.

    A word counts once in an utterance, because the test assumes independent counts.

    Args:
        tokens: (U, T) int64; 0 is no word.
        present: (U, T) bool.
        weights: (U, S) float64, weight of each utterance in each class.
        vocabulary: V, size of the vocabulary.

    Returns:
        (S, V) float64.

    Raises:
        DataError: a token id is outside the vocabulary.
    """
    row, column = torch.nonzero(present & (tokens != 0), as_tuple=True)
    word = tokens[row, column]
    if bool(((word < 0) | (word >= vocabulary)).any()):
        raise DataError(
            "a token id is outside the vocabulary",
            expected=f"0 to {vocabulary - 1}",
            found=int(word.max() if int(word.max()) >= vocabulary else word.min()),
            hint="correct the 'vocabulary' of the modality or its token ids, or set maci.counterfactual: false",
        )
    pairs = torch.unique(row * vocabulary + word).cpu()
    counts = torch.zeros(weights.shape[1], vocabulary, dtype=torch.float64)
    return counts.index_add_(1, pairs % vocabulary, weights[pairs // vocabulary].T)


def z_scores(counts: Tensor, prior_strength: float) -> Tensor:
    """Return the log-odds of each word in a class against all other classes, in standard errors.

    The prior of a word is its share of all counts, times ``prior_strength``, so without evidence both odds are equal. The
    published variance uses the observed count. In a rare class a random excess then reduces its own standard error, and there
    are too many false discoveries (10 % where 5 % are allowed, in a simulation with the class sizes of MELD). The mean of
    observed and expected count keeps the allowed rate. Counts below the expectation keep the published variance.

    Args:
        counts: (S, V) float64; at least two classes occur.
        prior_strength: strength of the prior, in words.

    Returns:
        (S, V) float64, positive = more often in the class.
    """
    word_counts, class_counts = counts.sum(dim=0), counts.sum(dim=1, keepdim=True)  # (V,), (S, 1)
    total = word_counts.sum()
    prior = (prior_strength * word_counts / total).clamp_min(1e-9)  # finite for a word that never occurs
    difference, variance = torch.zeros_like(counts), torch.zeros_like(counts)
    for sign, in_class, size in ((1, counts, class_counts), (-1, word_counts - counts, total - class_counts)):
        expected = word_counts * size / total
        pseudo_count = torch.minimum(in_class, (in_class + expected) / 2) + prior
        difference += sign * torch.log((in_class + prior) / (size + prior_strength - in_class - prior).clamp_min(1e-9))
        variance += 1 / pseudo_count + 1 / (size + prior_strength - pseudo_count).clamp_min(1e-9)
    return difference / variance.sqrt()


def accepted(p: Tensor, share: float) -> Tensor:
    """Return which hypotheses are rejected at a false discovery rate (Benjamini & Hochberg 1995).

    Args:
        p: (N,) p-values.
        share: false discovery rate, 0 to 1.

    Returns:
        (N,) bool.
    """
    ordered = p.sort().values
    below_line = torch.nonzero(ordered <= share * torch.arange(1, len(p) + 1, dtype=p.dtype) / max(1, len(p))).squeeze(
        1
    )  # (K, 1)
    return p <= ordered[below_line[-1]] if len(below_line) else torch.zeros_like(p, dtype=torch.bool)


def bias_words(counts: Tensor, utterances: float, maci: Maci) -> Tensor:
    """Return the words that stay in the counterfactual text.

    The p-value of a word is the smallest over the classes, times their number (two classes are one test); the false discovery
    rate holds over words. If there are more than ``maci.words``, those with the largest absolute z stay: in a large corpus
    every word differs slightly between classes, and the most frequent ones, which CIDer keeps, would be function words.

    Args:
        counts: (S, V) float64 of :func:`document_counts` over the training split.
        utterances: number of counted utterances; words that occur in all of them are not tested.
        maci: settings.

    Returns:
        (V,) bool.
    """
    is_bias_word = torch.zeros(counts.shape[1], dtype=torch.bool)
    classes = counts.sum(dim=1) > 0
    word_counts = counts.sum(dim=0)
    tested = torch.nonzero((word_counts >= maci.least_count) & (word_counts < utterances - 0.5)).squeeze(1)  # (K, 1) -> (K,)
    tests = int(classes.sum())
    if tests < 2 or not len(tested):
        return is_bias_word
    z = z_scores(counts[classes], maci.prior_strength)[:, tested].abs().max(dim=0).values  # (K,)
    p = torch.special.erfc(z / math.sqrt(2)) * (1 if tests == 2 else tests)
    strength = torch.where(accepted(p, maci.false_discovery), z, -1.0)
    best = torch.argsort(strength, descending=True, stable=True)[: maci.words]
    is_bias_word[tested[best[strength[best] > 0]]] = True
    return is_bias_word
