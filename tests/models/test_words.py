"""Bias words: what goes with a class is found, what does not is not, whatever the sizes of the classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lacuna.errors import DataError
from lacuna.models import Maci
from lacuna.models.wrappers.words import accepted, bias_words, document_counts, z_scores

MOSI = (0.43, 0.04, 0.53)  # negative, neutral, positive
MELD = (0.47, 0.17, 0.12, 0.11, 0.07, 0.03, 0.03)


def drawn(prior: tuple[float, ...], utterances: int, seed: int, planted: bool = False) -> tuple[Tensor, Tensor]:
    """Counts (S, V) of words that occur in an utterance by chance, and the factor (V,) on their chance in the last class.

    Planted words are three times as likely there, and each has two that give way to it: utterances stay as long as they were.
    """
    generator = torch.Generator().manual_seed(seed)
    label = torch.multinomial(torch.tensor(prior), utterances, True, generator=generator)
    size = torch.bincount(label, minlength=len(prior)).double().unsqueeze(1)
    often = 1 / (torch.arange(400) + 3.0)
    chance = (often / often.sum() * 12).clamp_max(0.9).expand(len(prior), -1).clone()
    factor = torch.ones(400)
    if planted:
        factor[20:120:10], factor[21:121:10], factor[22:122:10] = 3.0, 0.05, 0.05
    chance[-1] *= factor
    return torch.binomial(size.expand(-1, 400).float().contiguous(), chance, generator=generator).double(), factor


def published(counts: Tensor, classes: tuple[int, int]) -> Tensor:
    """CIDer's rule: the counts of two classes differ by a tenth of their mean."""
    low, high = counts[list(classes)]
    return (high - low).abs() / (high + low).clamp_min(1) >= 0.1


def test_the_score_is_that_of_the_paper_where_a_word_is_not_in_excess() -> None:
    """By hand: Monroe et al., equation 16 and 22."""
    counts = torch.tensor([[3.0, 17.0], [9.0, 11.0]], dtype=torch.float64)
    prior = 10 * 12 / 40
    difference = math.log((3 + prior) / (20 + 10 - 3 - prior)) - math.log((9 + prior) / (20 + 10 - 9 - prior))
    halfway = (9 + 6) / 2  # the excess of the other class counts half: 6 were expected
    variance = 1 / (3 + prior) + 1 / (30 - 3 - prior) + 1 / (halfway + prior) + 1 / (30 - halfway - prior)
    z = z_scores(counts, 10.0)
    assert float(z[0, 0]) == pytest.approx(difference / math.sqrt(variance))
    torch.testing.assert_close(z[0], -z[1])  # two classes are one test


@pytest.mark.parametrize("prior", [MOSI, MELD])
def test_class_imbalance_alone_makes_no_word_biased(prior: tuple[float, ...]) -> None:
    """The published rule takes every other independent word; ours any at all in at most a share of corpora."""
    corpora, wrong, theirs = 60, 0, 0.0
    for seed in range(corpora):
        counts, _ = drawn(prior, 1500, seed)
        wrong += bool(bias_words(counts, 1500, Maci()).any())
        theirs += float(published(counts, (0, len(prior) - 1)).double().mean())
    assert wrong <= 0.05 * corpora + 3  # two standard errors above what is allowed
    assert theirs / corpora > 0.5


@pytest.mark.parametrize("prior", [MOSI, MELD])
def test_planted_words_are_found_with_few_false_ones(prior: tuple[float, ...]) -> None:
    found, true, right = 0, 0, 0
    for seed in range(10):
        counts, factor = drawn(prior, 9000, seed, planted=True)
        bias = bias_words(counts, 9000, Maci())
        found, true = found + int(bias[factor >= 1].sum()), true + int((factor > 1).sum())
        right += int(bias[factor > 1].sum())
    assert right > 0.7 * true
    assert right > 0.9 * found


def test_the_strongest_are_kept_not_the_most_frequent() -> None:
    counts = torch.tensor([[900.0, 90.0, 5.0, 1.0], [1100.0, 10.0, 60.0, 1.0]], dtype=torch.float64)
    assert bias_words(counts, 5000, Maci(words=2)).tolist() == [False, True, True, False]
    assert bias_words(counts, 5000, Maci(words=1)).sum() == 1
    assert not bias_words(counts, 5000, Maci(least_count=101)).tolist()[1]


def test_what_every_utterance_holds_and_one_class_alone_say_nothing() -> None:
    counts = torch.tensor([[100.0, 900.0], [100.0, 10.0]], dtype=torch.float64)
    assert not bias_words(counts, 200, Maci())[0]
    assert not bias_words(torch.tensor([[50.0, 20.0], [0.0, 0.0]], dtype=torch.float64), 200, Maci()).any()
    assert not bias_words(torch.zeros(3, 4, dtype=torch.float64), 0, Maci()).any()
    assert not bias_words(torch.zeros(3, 0, dtype=torch.float64), 0, Maci()).any()


def test_a_word_counts_once_an_utterance_and_with_the_weight_of_the_label() -> None:
    tokens = torch.tensor([[2, 2, 2, 1], [2, 3, 0, 0], [1, 3, 3, 0]])
    present = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]).bool()
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75], [0.0, 0.0]], dtype=torch.float64)  # the last has no label
    counts = document_counts(tokens, present, weights, 4)
    assert counts.tolist() == [[0, 0, 1.25, 0.25], [0, 0, 0.75, 0.75]]


def test_a_token_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(DataError, match=r"(?s)outside the vocabulary.*expected: 0 to 3.*found: 7.*do: correct"):
        document_counts(torch.tensor([[1, 7]]), torch.ones(1, 2).bool(), torch.ones(1, 2).double(), 4)


def test_benjamini_and_hochberg() -> None:
    p = torch.tensor([0.9, 0.011, 0.001, 0.039, 0.03], dtype=torch.float64)  # limits 0.01 0.02 0.03 0.04 0.05
    assert accepted(p, 0.05).tolist() == [False, True, True, True, True]
    assert not accepted(torch.tensor([0.2, 0.9], dtype=torch.float64), 0.05).any()
    assert not accepted(torch.zeros(0, dtype=torch.float64), 0.05).any()
