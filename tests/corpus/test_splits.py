import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.splits import by_speaker, carve_valid, fold
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


def spoken_by(speakers, dialogues):
    """A corpus of one turn a row, with these speakers and dialogues."""
    return assemble(
        "spoken",
        ids=[f"u{row}" for row in range(len(speakers))],
        dialogues=dialogues,
        turns=range(len(speakers)),
        channels={"audio": Channel(np.zeros((len(speakers), 1), np.float32))},
        speakers=speakers,
    )


def parts(corpus):
    names = corpus.utterances.speaker_names.to_pylist()
    return [{names[code] for code in corpus.utterances.speaker[corpus.utterances.split == split]} for split in range(3)]


@settings(max_examples=50, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_no_speaker_of_the_test_is_in_another_split(data, seed):
    speakers = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40))
    dialogues = data.draw(st.lists(st.integers(0, 12), min_size=len(speakers), max_size=len(speakers)))
    corpus = spoken_by([f"person {s}" for s in speakers], [f"d{d}" for d in dialogues])
    try:
        after = by_speaker(corpus, share=0.2, folds=2, seed=seed)
    except ConfigError:
        return  # the speakers are connected by dialogues
    train, valid, test = parts(after)
    assert train
    assert valid
    assert test
    assert not test & (train | valid)
    pairs = set(zip(after.utterances.dialogue.tolist(), after.utterances.split.tolist(), strict=True))
    assert len(pairs) == len({dialogue for dialogue, _ in pairs})
    assert np.array_equal(by_speaker(corpus, share=0.2, folds=2, seed=seed).utterances.split, after.utterances.split)


def test_named_speakers_are_the_test_with_those_they_talk_to():
    corpus = spoken_by(["ann", "bob", "cat", "dan", "eve", "eve"], ["x", "x", "y", "z", "w", "v"])
    assert parts(by_speaker(corpus, ["ann"], share=0.3))[2] == {"ann", "bob"}
    train, valid, _ = parts(by_speaker(corpus, ["ann"], share=0.3))
    assert not train & valid  # whole speakers, because three are left
    train, valid, test = parts(by_speaker(corpus, ["ann", "cat", "dan"], share=0.3))
    assert (train, valid, test) == ({"eve"}, {"eve"}, {"ann", "bob", "cat", "dan"})  # dialogues of the only speaker left
    note = by_speaker(corpus, ["cat"], share=0.3).provenance.notes[-1]
    assert note.startswith("split by speaker; test: cat; validation: ")


@pytest.mark.parametrize(
    ("speakers", "change", "message"),
    [
        (["ann", "bob"], {"speakers": ["an"]}, r"no speaker 'an' \(did you mean 'ann'"),
        (["ann", "bob"], {"speakers": ["ann", "bob"]}, "no speaker left outside the test"),
        (["ann", "bob"], {"speakers": ["ann"]}, "one dialogue outside the test"),
        (["ann", "bob"], {"folds": 3}, r"from 2 group\(s\) of speakers(.|\n)*at most 2"),
        (["ann", "unknown"], {}, "some speakers are unknown"),
        (["d0::1", "d1::1"], {}, "known inside their dialogue only"),
    ],
)
def test_what_cannot_be_split_by_speaker(speakers, change, message):
    with pytest.raises(ConfigError, match=message):
        by_speaker(spoken_by(speakers, ["d0", "d1"]), **{"share": 0.2, "folds": 2, **change})
