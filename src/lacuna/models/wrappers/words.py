"""Bias words: words that go with a class more than chance explains, whatever the sizes of the classes.

CIDer's code compares raw counts between classes, so that class imbalance alone makes neutral words biased. Here it is the
log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn, "Fightin' Words", Political Analysis 2008), with a
bound on the share of false discoveries.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lacuna.errors import DataError
from lacuna.models.config import Maci


def document_counts(tokens: Tensor, present: Tensor, weights: Tensor, vocabulary: int) -> Tensor:
    """In how many utterances of each class a word occurs.

    A word counts once an utterance: said three times in a row it is one observation, and the test takes counts for independent.

    Args:
        tokens: (U, T) int64; 0 is no word.
        present: (U, T) bool.
        weights: (U, S) float64, to what extent an utterance is of a class.
        vocabulary: V.

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
    """Log-odds of each word in a class against all others, in standard errors.

    The prior of a word is its share of all counts, times ``prior_strength``: without evidence both odds are the same. The
    published variance is that of the observed count. In a rare class a chance excess then shrinks its own error and is taken for
    a finding (a simulation with the class sizes of MELD gives 10 % false discoveries where 5 % are allowed); half-way to the
    expected count the allowed share is kept. A lack keeps the published variance.

    Args:
        counts: (S, V) float64; at least two classes occur.
        prior_strength: of the prior, in words.

    Returns:
        (S, V) float64, positive = more often in the class.
    """
    of_word, of_class = counts.sum(dim=0), counts.sum(dim=1, keepdim=True)  # (V,), (S, 1)
    total = of_word.sum()
    prior = (prior_strength * of_word / total).clamp_min(1e-9)  # finite for a word that never occurs
    difference, variance = torch.zeros_like(counts), torch.zeros_like(counts)
    for sign, here, size in ((1, counts, of_class), (-1, of_word - counts, total - of_class)):
        expected = of_word * size / total
        sure = torch.minimum(here, (here + expected) / 2) + prior
        difference += sign * torch.log((here + prior) / (size + prior_strength - here - prior).clamp_min(1e-9))
        variance += 1 / sure + 1 / (size + prior_strength - sure).clamp_min(1e-9)
    return difference / variance.sqrt()


def accepted(p: Tensor, share: float) -> Tensor:
    """Which findings to keep so that at most ``share`` of them are expected to be false (Benjamini & Hochberg 1995).

    Args:
        p: (N,) p-values.
        share: of false discoveries.

    Returns:
        (N,) bool.
    """
    ordered = p.sort().values
    under = torch.nonzero(ordered <= share * torch.arange(1, len(p) + 1, dtype=p.dtype) / max(1, len(p))).squeeze(1)  # (K, 1)
    return p <= ordered[under[-1]] if len(under) else torch.zeros_like(p, dtype=torch.bool)


def bias_words(counts: Tensor, utterances: float, maci: Maci) -> Tensor:
    """The words to keep in the counterfactual text.

    A word's p-value is the smallest over the classes times their number (two classes are one test), and the bound holds over
    words, which are what is found. Of more words than asked for, the largest z stay, whatever their sign: in a large corpus every
    word differs a little between classes, and the most frequent of them, which CIDer keeps, would be function words again.

    Args:
        counts: (S, V) float64 of :func:`document_counts` over the training split.
        utterances: how many were counted; what all of them hold, such as a mark of the beginning, says nothing.
        maci: settings.

    Returns:
        (V,) bool.
    """
    found = torch.zeros(counts.shape[1], dtype=torch.bool)
    classes = counts.sum(dim=1) > 0
    of_word = counts.sum(dim=0)
    tested = torch.nonzero((of_word >= maci.least_count) & (of_word < utterances - 0.5)).squeeze(1)  # (K, 1) -> (K,)
    tests = int(classes.sum())
    if tests < 2 or not len(tested):
        return found
    z = z_scores(counts[classes], maci.prior_strength)[:, tested].abs().max(dim=0).values  # (K,)
    p = torch.special.erfc(z / math.sqrt(2)) * (1 if tests == 2 else tests)
    strength = torch.where(accepted(p, maci.false_discovery), z, -1.0)
    best = torch.argsort(strength, descending=True, stable=True)[: maci.words]
    found[tested[best[strength[best] > 0]]] = True
    return found
