import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus.splits import carve_valid, fold
from lacuna.errors import ConfigError
from standin import StandIn, generate


def without_valid(seed=0, dialogues=30):
    corpus = generate(StandIn(dialogues=dialogues, turns=4, seed=seed))
    return corpus.only("train", "test")


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.01, 0.99), seed=st.integers(0, 2**31))
def test_carving_moves_whole_training_dialogues(share, seed):
    before = without_valid()
    after = carve_valid(before, share, seed)
    old, new = before.utterances, after.utterances
    assert np.array_equal(new.split == 2, old.split == 2)
    pairs = {(d, s) for d, s in zip(new.dialogue.tolist(), new.split.tolist(), strict=True)}
    assert len(pairs) == len({d for d, _ in pairs})
    moved, total = (new.split == 1).sum(), (old.split == 0).sum()
    assert 0 < moved < total
    assert abs(moved / total - share) <= 1 / 18 + 1e-9
    assert np.array_equal(carve_valid(before, share, seed).utterances.split, new.split)


def test_carving_depends_on_names_and_not_on_order():
    before = without_valid()
    flipped = before.take(np.arange(len(before))[::-1].copy())
    a, b = carve_valid(before, 0.3, 1), carve_valid(flipped, 0.3, 1)
    assert {i for i, s in zip(a.ids, a.utterances.split, strict=True) if s == 1} == {
        i for i, s in zip(b.ids, b.utterances.split, strict=True) if s == 1
    }


def test_folds_cover_every_utterance_once():
    corpus = generate(StandIn(dialogues=13, turns=3))
    tested = [set(fold(corpus, 4, k, 0).only("test").ids) for k in range(4)]
    assert set.union(*tested) == set(corpus.ids)
    assert sum(map(len, tested)) == len(corpus)
    assert max(map(len, tested)) - min(map(len, tested)) <= 3
    one = fold(corpus, 4, 3, 0)
    assert set(one.only("valid").ids) == tested[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: carve_valid(c, 1.5, 0), "between 0 and 1"),
        (lambda c: carve_valid(carve_valid(c, 0.2, 0), 0.2, 0), "validation split already"),
        (lambda c: carve_valid(c.take(np.arange(4)), 0.2, 0), "carving needs two"),
        (lambda c: fold(c, 2, 0, 0), "at least 3 folds"),
        (lambda c: fold(c, 99, 0, 0), "a dialogue in each"),
        (lambda c: fold(c, 3, 3, 0), "test fold 3 of 3"),
    ],
)
def test_what_cannot_be_split(change, message):
    with pytest.raises(ConfigError, match=message):
        change(without_valid())
