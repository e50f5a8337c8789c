"""The format on disk: round trip, atomicity, views, memory maps, damage, streaming."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus import SPLITS, Channel, CorpusWriter, Target, assemble, open_corpus, save_corpus
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import DataError


def same(a, b):
    """Check that two corpora are equal in everything."""
    assert (a.name, a.modalities, a.targets, a.provenance) == (b.name, b.modalities, b.targets, b.provenance)
    assert a.ids == b.ids
    assert a.transcripts == b.transcripts
    ua, ub = a.utterances, b.utterances
    assert [ua.dialogue_names[int(c)] for c in ua.dialogue] == [ub.dialogue_names[int(c)] for c in ub.dialogue]
    assert [ua.speaker_names[int(c)] for c in ua.speaker] == [ub.speaker_names[int(c)] for c in ub.speaker]
    for left, right in ((ua.turn, ub.turn), (ua.split, ub.split), *((ua.labels[t.name], ub.labels[t.name]) for t in a.targets)):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    for m in a.modalities:
        fa, fb = a.frames[m.name], b.frames[m.name]
        np.testing.assert_array_equal(fa.count, fb.count)
        np.testing.assert_array_equal(fa.any_observed, fb.any_observed)
        for i in range(len(a)):
            np.testing.assert_array_equal(fa.of(i), fb.of(i))
            ra, rb = (slice(f.start[i], f.start[i] + f.count[i]) for f in (fa, fb))
            for kind in ("tokens", "observed"):
                va, vb = getattr(fa, kind), getattr(fb, kind)
                assert (va is None) == (vb is None)
                if va is not None:
                    np.testing.assert_array_equal(va[ra], vb[rb])


def ordered(corpus):
    """Return the corpus in the order on disk: train, valid, test, none, each in its own order."""
    return corpus.take(np.argsort(corpus.utterances.split % 4, kind="stable"))  # -1 % 4 is 3


def drawn(sizes, seed, tokens, observed, task):
    """Return a corpus with dialogues of these sizes; everything else depends on the seed."""
    r = np.random.default_rng(seed)
    n = sum(sizes)
    dialogues = [f"d{k}" for k, size in enumerate(sizes) for _ in range(size)]
    lengths = r.integers(0, 4, n)
    lengths[0] = 1
    frames = [r.normal(size=(t, 3)).astype(np.float32) if t else None for t in lengths]
    target = {
        "classification": Target("y", "classification", ("a", "b")),
        "soft": Target("y", "soft", ("a", "b")),
        "regression": Target("y", "regression"),
    }[task]
    share = r.random(n)
    labels = {"classification": r.integers(-1, 2, n), "regression": share, "soft": np.stack([share, 1 - share], 1)}[task]
    labels = np.where(np.arange(n) == 0, 0, labels) if task == "classification" else labels
    return assemble(
        "drawn",
        ids=[f"u{i}é" for i in range(n)],
        dialogues=dialogues,
        turns=list(range(n)),
        channels={
            "m": Channel(
                frames,
                "drawn",
                [r.integers(0, 9, t) for t in lengths] if tokens else None,
                9 if tokens else None,
                [r.random(t) < 0.5 for t in lengths] if observed else None,
            ),
            "n": Channel(r.normal(size=(n, 2))),
        },
        targets=[target],
        labels={"y": labels},
        splits=[("train", "valid", "test", None)[k % 4] for k, size in enumerate(sizes) for _ in range(size)],
        texts=[None if r.random() < 0.3 else f"tëxt {i}" for i in range(n)],
    )


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    tokens=st.booleans(),
    observed=st.booleans(),
    task=st.sampled_from(["classification", "soft", "regression"]),
)
def test_round_trip_and_streaming(tmp_path_factory, sizes, seed, tokens, observed, task):
    corpus = drawn(sizes, seed, tokens, observed, task)
    folder = tmp_path_factory.mktemp("c")
    same(ordered(corpus), open_corpus(save_corpus(corpus, folder / "one"), verify=True))
    with CorpusWriter(folder / "pieces") as writer:
        for code in range(len(sizes)):
            writer.append(corpus.take(np.flatnonzero(corpus.utterances.dialogue == code)))
    same(ordered(corpus), open_corpus(folder / "pieces", verify=True))
    one, pieces = (json.loads((folder / f / "corpus.json").read_text())["files"]["features"] for f in ("one", "pieces"))
    assert one == pieces  # the same bytes


def test_flags_of_one_piece_only(make, tmp_path):
    plain, holes = make.corpus(), make.corpus(dialogues=list("eeffgghh"), ids=[f"v{i}" for i in range(8)])
    text = holes.frames["text"]
    flags = np.arange(len(text.values)) % 2 == 0
    object.__setattr__(text, "observed", flags)
    for number, order in enumerate(([plain, holes], [holes, plain], [plain, holes, plain])):
        if len(order) == 3:
            ids = [f"w{i}" for i in range(8)]
            order[2] = make.corpus(dialogues=list("iijjkkll"), ids=ids)
        with CorpusWriter(tmp_path / str(number)) as writer:
            for piece in order:
                writer.append(piece)
        read = open_corpus(tmp_path / str(number), verify=True).frames["text"].observed
        views = [(p.only(split).frames["text"], p is holes) for split in SPLITS for p in order]
        rows = [(flags if has_flags else flags | True)[frame_rows(f.start, f.count)] for f, has_flags in views]
        expected = np.concatenate(rows)
        np.testing.assert_array_equal(read, expected)


def test_views_are_saved_as_what_they_show(corpus, tmp_path):
    view = corpus.take(np.array([6, 7, 2, 3]))
    same(corpus.take(np.array([2, 3, 6, 7])), open_corpus(save_corpus(view, tmp_path / "v"), verify=True))
    assert view.frames["text"].values is corpus.frames["text"].values
    assert len(open_corpus(tmp_path / "v").frames["text"].values) == view.frames["text"].count.sum()
    assert corpus.only("test").ids == ["u6", "u7"]


def test_frames_are_memory_mapped_and_read_only(corpus, tmp_path):
    read = open_corpus(save_corpus(corpus, tmp_path))
    values = read.frames["text"].values
    assert not values.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1
    save_corpus(read, tmp_path)  # over itself, while mapped
    same(corpus, open_corpus(tmp_path, verify=True))


def failing(monkeypatch, at):
    """Make the ``at``-th replacement of a file fail."""
    real, calls = os.replace, []

    def replace(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise OSError("disk full")
        return real(*arguments)

    monkeypatch.setattr(os, "replace", replace)
    return calls


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_failed_save_leaves_the_old_corpus(make, corpus, tmp_path, monkeypatch, at):
    save_corpus(corpus, tmp_path)
    with monkeypatch.context() as patch:
        failing(patch, at)
        with pytest.raises(OSError, match="disk full"):
            save_corpus(make.corpus(name="other", texts=["new"] * 8, turns=[0, 1] * 4), tmp_path)
    same(corpus, open_corpus(tmp_path, verify=True))
    save_corpus(corpus, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3  # leftovers are swept by the next save
    with monkeypatch.context() as patch:
        failing(patch, at)
        with pytest.raises(OSError, match="disk full"):
            save_corpus(corpus, tmp_path / "new")
    with pytest.raises(DataError, match="no corpus here"):
        open_corpus(tmp_path / "new")


def test_an_error_inside_the_block_changes_nothing(corpus, tmp_path):
    def half():
        with CorpusWriter(tmp_path) as writer:
            writer.append(corpus)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half()
    assert list(tmp_path.iterdir()) == []


def write(folder, *pieces):
    with CorpusWriter(folder) as writer:
        for piece in pieces:
            writer.append(piece)


def test_pieces_must_agree(make, corpus, tmp_path):
    with pytest.raises(DataError, match="a dialogue is in two pieces"):
        write(tmp_path, corpus, corpus)
    with pytest.raises(DataError, match="pieces of one corpus must agree"):
        write(tmp_path, corpus, make.corpus(name="other"))
    with pytest.raises(DataError, match="at least one piece"):
        write(tmp_path)
