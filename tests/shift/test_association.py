"""The divergence is 0 for equal associations, does not depend on label priors, and grows with a planted shift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus import Channel, Target, assemble
from lacuna.errors import DataError
from lacuna.shift.association import (
    WordCounts,
    agreement,
    count_words,
    divergence,
    log_odds,
    strata_of,
    total_variation,
    word_shares,
)
from lacuna.shift.words import words_of


def drawn(seed: int, classes: int, words: int, turned: float = 0.0, size: float = 1000.0) -> WordCounts:
    """Expected counts of a set in which words go with classes; ``turned`` moves each word's rates to the next class."""
    rates = np.random.default_rng(seed).uniform(0.02, 0.4, (classes, words))
    rates = (1 - turned) * rates + turned * np.roll(rates, 1, axis=0)
    sizes = np.full(classes, size)
    return WordCounts(rates * sizes[:, None], sizes)


some = st.tuples(st.integers(0, 999), st.integers(2, 5), st.integers(1, 20))


@settings(max_examples=40, deadline=None)
@given(drawn_from=some, other=st.integers(0, 999))
def test_it_is_symmetric_and_never_negative(drawn_from, other):
    a, b = drawn(*drawn_from), drawn(other, *drawn_from[1:])
    share = word_shares(a + b)
    assert divergence(a, b, share) == pytest.approx(divergence(b, a, share), rel=1e-12)
    assert divergence(a, b, share) >= 0
    assert divergence(a, a, share) == 0
    assert agreement(a, a, share) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(drawn_from=some, factors=st.lists(st.floats(0.05, 20), min_size=5, max_size=5))
def test_class_sizes_do_not_enter(drawn_from, factors):
    """Ten times as many utterances of a class, with the same share of each word, are the same association."""
    a = drawn(*drawn_from)
    grown = np.array(factors[: len(a.utterances)])
    b = WordCounts(a.words * grown[:, None], a.utterances * grown)
    share = word_shares(a)
    assert divergence(a, b, share) == pytest.approx(0, abs=1e-18)
    assert total_variation(a.utterances, b.utterances) == pytest.approx(
        total_variation(np.ones(len(grown)), grown), abs=1e-12
    )  # the labels did shift


@pytest.mark.parametrize("classes", [2, 4])
def test_it_grows_with_what_is_planted(classes):
    a = drawn(0, classes, 12)
    share = word_shares(a)
    divergences = [divergence(a, drawn(0, classes, 12, turned), share) for turned in (0.0, 0.1, 0.3, 0.5)]
    assert divergences == sorted(divergences)
    assert divergences[0] == 0 < divergences[1]
    alike = [agreement(a, drawn(0, classes, 12, turned), share) for turned in (0.0, 0.1, 0.3, 0.5)]
    assert alike == sorted(alike, reverse=True)


def test_log_odds_by_hand():
    """A word in 30 of 100 utterances of one class and 10 of 100 of the other; the prior adds a fifth of the pooled share."""
    counts = WordCounts(np.array([[30.0], [10.0]]), np.array([100.0, 100.0]))
    share = np.array([0.2])
    p, q = (0.3 + 0.2 * 0.2) / 1.2, (0.1 + 0.2 * 0.2) / 1.2
    expected = np.log(p / (1 - p)) - np.log(q / (1 - q))
    np.testing.assert_allclose(log_odds(counts, share, 0.2), [[expected], [-expected]])


def test_a_class_that_does_not_occur_says_nothing():
    counts = WordCounts(np.array([[4.0], [0.0]]), np.array([20.0, 0.0]))
    np.testing.assert_allclose(log_odds(counts, np.array([0.2])), 0, atol=1e-12)  # 4 of 20 is what the prior says too


def test_words_count_once_an_utterance_and_tallies_add_up():
    corpus = assemble(
        "said",
        ids=list("abcd"),
        dialogues=list("abcd"),
        turns=[0] * 4,
        channels={"audio": Channel(np.zeros((4, 2)) + np.arange(4)[:, None])},
        targets=[Target("mood", "classification", ("low", "high"))],
        labels={"mood": [0, 1, 1, -1]},
        texts=["Yes, yes! It's fine", "yes it\u2019s", None, "it's fine"],
    )
    words = words_of(corpus)
    assert words.names == ("fine", "it's", "it\u2019s", "yes")
    assert words.counts.tolist() == [2, 2, 1, 2]
    strata, classes = strata_of(corpus.targets[0], corpus.utterances.labels["mood"])
    whole = count_words(words, strata, classes)
    assert whole.utterances.tolist() == [1, 2]  # the unlabelled one is passed over
    assert whole.words.tolist() == [[1, 1, 0, 1], [0, 0, 1, 1]]
    parts = count_words(words, strata, classes, np.array([0, 1])) + count_words(words, strata, classes, np.array([2, 3]))
    np.testing.assert_array_equal(parts.words, whole.words)
    frequent = words.only(words.counts > 1)
    assert frequent.names == ("fine", "it's", "yes")
    assert frequent.counts.tolist() == [2, 2, 2]


def test_token_ids_stand_in_for_texts_and_unobserved_ones_were_not_said():
    corpus = assemble(
        "spelt",
        ids=list("ab"),
        dialogues=list("ab"),
        turns=[0, 0],
        channels={"text": Channel([np.ones((3, 2)), np.ones((2, 2))], tokens=[[5, 5, 7], [0, 7]], vocabulary=9,
                                  observed=[[True, True, False], [True, True]])},
    )  # fmt: skip
    words = words_of(corpus)
    assert words.names == ("5", "7")
    assert list(zip(words.row.tolist(), words.word.tolist(), strict=True)) == [(0, 0), (1, 1)]


def test_without_words_it_says_what_to_do():
    corpus = assemble("mute", ids=["a"], dialogues=["a"], turns=[0], channels={"audio": Channel(np.ones((1, 2)))})
    with pytest.raises(DataError, match=r"has no words(.|\n)*kind labels, groups or random"):
        words_of(corpus)


def test_scores_are_cut_into_thirds_and_soft_labels_by_their_largest_share():
    values = np.array([-3, 0, 3, np.nan, -2, 1, 2], np.float32)
    codes, classes = strata_of(Target("score", "regression", low=-3, high=3), values)
    assert classes == 3
    assert codes.tolist() == [0, 1, 2, -1, 0, 1, 2]
    soft, _ = strata_of(Target("votes", "soft", ("x", "y")), np.array([[0.2, 0.8], [np.nan, 1]], np.float32))
    assert soft.tolist() == [1, -1]
