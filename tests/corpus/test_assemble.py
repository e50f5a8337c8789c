import numpy as np
import pytest

from lacuna.corpus import Channel, validate


def test_rows_leave_sorted_and_keep_what_belongs_to_them(make):
    given = make.corpus()
    order = [7, 0, 5, 1, 3, 2, 6, 4]
    text = Channel([given.frames["text"].of(i) for i in order], "test")
    audio = Channel([given.frames["audio"].of(i) if given.frames["audio"].count[i] else None for i in order], "test")
    labels = {n: v[order] for n, v in given.utterances.labels.items()}
    shuffled = make.corpus(
        ids=[f"u{i}" for i in order],
        dialogues=["aabbccdd"[i] for i in order],
        turns=[int(given.utterances.turn[i]) for i in order],
        channels={"text": text, "audio": audio},
        labels=labels,
        splits=[("train", "train", "train", "train", "valid", "valid", "test", "test")[i] for i in order],
        speakers=["pqpqpqpq"[i] for i in order],
        texts=[given.transcripts[i] for i in order],
    )
    assert shuffled.utterances.dialogue_names.to_pylist() == ["d", "a", "c", "b"]  # in order of appearance
    where = {i: r for r, i in enumerate(shuffled.ids)}
    for row, utterance in enumerate(given.ids):
        there = where[utterance]
        assert shuffled.transcripts[there] == given.transcripts[row]
        for m in ("text", "audio"):
            np.testing.assert_array_equal(shuffled.frames[m].of(there), given.frames[m].of(row))
        for target, values in given.utterances.labels.items():
            np.testing.assert_array_equal(shuffled.utterances.labels[target][there], values[row])
        assert shuffled.keys[there] == given.keys[row]


def test_absence_is_counted_by_modality_and_split(corpus):
    assert corpus.absences() == {"text": {"train": 0, "valid": 0, "test": 0}, "audio": {"train": 1, "valid": 1, "test": 0}}
    assert corpus.labelled("mood").sum() == 7
    assert corpus.labelled("votes").sum() == 7
    assert not [f for f in validate(corpus) if f.fatal]


def test_arrays_are_channels_too(make):
    dense = make.corpus(channels={"text": Channel(np.ones((8, 3, 2)) * np.arange(8)[:, None, None]), "audio": Channel(np.eye(8))})
    assert dense.frames["text"].of(5).shape == (3, 2)
    assert dense.frames["audio"].of(5).tolist() == [np.eye(8)[5].tolist()]


def test_single_frames_may_be_unobserved(make):
    flags = [[True] * 2, [False, False], *[[True, False]] * 6]
    holes = make.corpus(channels={"text": Channel(np.ones((8, 2, 3)), observed=flags)})
    assert holes.absences() == {"text": {"train": 1, "valid": 0, "test": 0}}
    whole = make.corpus(channels={"text": Channel(np.ones((8, 2, 3)), observed=[[1, 1]] * 8)})
    assert whole.frames["text"].observed is None


def test_large_turns_are_not_rounded(make):
    corpus = make.corpus(turns=[2**53, 2**53 + 1, 0, 1, 0, 1, 0, 1])
    assert corpus.utterances.turn[1] == 2**53 + 1


@pytest.mark.parametrize(("policy", "rows"), [("absent", 8), ("zero", 8), ("mean", 8), ("drop", 7)])
def test_policies_for_nonfinite_frames(make, policy, rows):
    frames = np.arange(16.0).reshape(8, 1, 2)
    frames[3, 0, 1] = np.nan
    corpus = make.corpus(channels={"text": Channel(frames)}, nonfinite=policy)
    assert len(corpus) == rows
    assert f"1 of 8 utterances hold NaN or inf in text: repaired by policy '{policy}'" in corpus.provenance.notes
    text = corpus.frames["text"]
    if policy == "absent":
        assert text.any_observed.tolist() == [True] * 3 + [False] + [True] * 4
    if policy == "zero":
        assert text.of(3).tolist() == [[6, 0]]
    if policy == "mean":
        assert text.of(3).tolist() == [[6, 3]]  # mean of training columns 1, 3, 5
    assert np.isnan(frames).sum() == 1  # the input is left alone
