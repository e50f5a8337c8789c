"""The next target, and one dialogue for each labelled turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lacuna.corpus import Corpus, check
from lacuna.corpus.prefixes import next_target, prefix_corpus
from lacuna.errors import ConfigError
from standin import StandIn, generate


@pytest.fixture
def corpus() -> Corpus:
    made = generate(StandIn(dialogues=6, turns=5, frames=3))
    labels = made.utterances.labels["emotion"].copy()
    labels[[1, 7, 8]] = -1
    return replace(made, utterances=replace(made.utterances, labels={**made.utterances.labels, "emotion": labels}))


def test_the_next_target_is_the_label_of_the_next_labelled_turn(corpus: Corpus) -> None:
    shifted = next_target(corpus, "emotion")
    labels, following = shifted.utterances.labels["emotion"], shifted.utterances.labels["next_emotion"]
    dialogue = corpus.utterances.dialogue
    for row in range(len(corpus)):
        later = [r for r in range(row + 1, len(corpus)) if dialogue[r] == dialogue[row] and labels[r] >= 0]
        assert following[row] == (labels[later[0]] if later and labels[row] >= 0 else -1)
    assert shifted.target("next_emotion").classes == corpus.target("emotion").classes


@pytest.mark.parametrize("turns", [None, 1, 3])
def test_a_prefix_ends_with_its_labelled_turn(corpus: Corpus, turns: int | None) -> None:
    view = check(prefix_corpus(corpus, "emotion", turns=turns))
    known = np.flatnonzero(corpus.utterances.labels["emotion"] >= 0)
    ends = np.flatnonzero(view.utterances.labels["emotion"] >= 0)
    assert [view.ids[row] for row in ends] == [corpus.ids[row] for row in known]
    for number, (end, row) in enumerate(zip(ends, known, strict=True)):
        own = np.flatnonzero(view.utterances.dialogue == number)
        first = int(np.flatnonzero(corpus.utterances.dialogue == corpus.utterances.dialogue[row])[0])
        expected = np.arange(first, row + 1)[-(turns or len(corpus)) :]
        assert own[-1] == end
        np.testing.assert_array_equal(view.frames["text"].start[own], corpus.frames["text"].start[expected])
        np.testing.assert_array_equal(view.utterances.turn[own], corpus.utterances.turn[expected])
    assert view.frames["text"].values is corpus.frames["text"].values


def test_a_prefix_has_at_least_one_turn(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match="at least 1 turn"):
        prefix_corpus(corpus, turns=0)
