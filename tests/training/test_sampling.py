"""Balanced sampling draws rare classes as often as frequent ones."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus import Target
from lacuna.corpus.statistics import fit_statistics
from lacuna.training import Loader
from lacuna.training.sampling import apart, dialogue_weights, utterance_weights

TARGET = Target("emotion", "classification", ("a", "b", "c", "d"))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=40).filter(lambda labels: max(labels) >= 0))
def test_classes_are_drawn_equally_in_expectation(labels: list[int]) -> None:
    codes = np.array(labels)
    weights = utterance_weights(TARGET, codes)
    assert weights.sum() == pytest.approx(1)
    by_class = [weights[codes == c].sum() for c in np.unique(codes[codes >= 0])]
    np.testing.assert_allclose(by_class, (codes >= 0).mean() / len(by_class))
    np.testing.assert_allclose(weights[codes < 0], 1 / len(codes))


def test_an_epoch_has_nearly_equal_classes_and_is_a_function_of_seed_and_epoch(toys: ModuleType) -> None:
    corpus = toys.make_corpus(dialogues=300).only("train")
    labels = corpus.utterances.labels["emotion"]
    labels[(labels == 0) & (np.arange(len(labels)) % 10 > 0)] = 1  # class 0 becomes rare
    loader = Loader(corpus, corpus.schema(), fit_statistics(corpus), 16, sampling="balanced")
    rows = np.concatenate(loader.rows((0, 1)))
    assert len(rows) == len(corpus)
    counts = np.bincount(labels[rows][labels[rows] >= 0])
    assert counts.max() < 1.3 * counts.min()
    assert np.bincount(labels[labels >= 0]).max() > 10 * np.bincount(labels[labels >= 0]).min()
    assert np.array_equal(rows, np.concatenate(loader.rows((0, 1))))
    assert not np.array_equal(rows, np.concatenate(loader.rows((0, 2))))
    assert np.array_equal(np.concatenate(loader.rows()), np.arange(len(corpus)))  # without a shuffle, everything once


def test_dialogues_with_rare_classes_are_drawn_more_often() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 0, 0])
    start, count = np.array([0, 2, 4, 6]), np.array([2, 2, 2, 2])
    weights = dialogue_weights(utterance_weights(TARGET, labels), start, count)
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 2, 1 / 6])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 12))
def test_no_batch_holds_a_dialogue_twice_and_every_draw_is_in_one(drawn: list[int], size: int) -> None:
    count = np.array([1, 2, 3, 1, 5, 2])
    batches = apart(np.array(drawn), count, size)
    assert sorted(d for batch in batches for d in batch) == sorted(drawn)
    for batch in batches:
        assert len(set(batch)) == len(batch)
        assert sum(count[batch[:-1]]) < size


def test_dialogues_stay_whole(toys: ModuleType) -> None:
    corpus = toys.make_corpus().only("train")
    loader = Loader(corpus, corpus.schema(), fit_statistics(corpus), 16, True, sampling="balanced")
    for rows in loader.rows((0, 0)):
        assert len(np.unique(rows)) == len(rows)
        code = corpus.utterances.dialogue[rows]
        assert all((code == d).sum() == (corpus.utterances.dialogue == d).sum() for d in np.unique(code))
