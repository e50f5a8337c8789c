"""What is thinned is gone: nothing that reads the corpus can depend on it."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.api import create_model
from lacuna.corpus import check, open_corpus, save_corpus
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.loading import load_corpus
from lacuna.missing import Thin, list_patterns, thin
from lacuna.missing.layout import Layout
from lacuna.synthetic.duet import generate, preset

CORPUS = generate(preset("tiny"))
DEVELOPMENT = {"train": 0, "valid": 1}


def spoiled(corpus, settings, value):
    """The corpus with other numbers in every frame that ``settings`` remove, and other transcripts."""
    frames = {
        m: replace(f, values=np.array(f.values), tokens=None if f.tokens is None else np.array(f.tokens))
        for m, f in corpus.frames.items()
    }
    for code in DEVELOPMENT.values():
        rows = np.flatnonzero(corpus.utterances.split == code)
        for m, lost in settings.plan.over(Layout.of(corpus.take(rows))).missing_flat().items():
            starts, counts = frames[m].start[rows], frames[m].count[rows]
            places = np.concatenate([np.arange(s, s + c) for s, c in zip(starts, counts, strict=True)])[lost]
            frames[m].values[places] = value
            if frames[m].tokens is not None:
                frames[m].tokens[places] = 7
    return replace(corpus, frames=frames)


def folder_digest(corpus, folder):
    save_corpus(corpus, folder)
    return open_corpus(folder).digest


@pytest.mark.parametrize("pattern", list_patterns())
def test_removed_values_are_not_in_the_thinned_corpus(pattern, tmp_path):
    removal = Thin(pattern, 0.5, 3)
    expected = folder_digest(check(thin(CORPUS, removal)), tmp_path / "one")
    for number, value in enumerate((np.nan, 1e6)):
        changed = spoiled(CORPUS, removal, value)
        assert pattern == "fixed" or any(not np.array_equal(f.values, CORPUS.frames[m].values) for m, f in changed.frames.items())
        assert folder_digest(thin(changed, removal), tmp_path / str(number)) == expected


@pytest.mark.parametrize(
    "model",
    [
        *(pytest.param(m, marks=pytest.mark.slow) for m in ("evidence", "gcnet", "mmin")),
        *("ridge", "imder", "cider", "knn"),
    ],
)
def test_removed_values_change_no_bit_of_a_trained_model(model):
    removal = Thin("rmfm", 0.5)
    weights, scores = [], []
    for corpus in (CORPUS, spoiled(CORPUS, removal, np.nan)):
        trained = create_model(model).fit(thin(corpus, removal), epochs=1, batch_size=512)
        weights.append(trained.trained.model.state_dict())
        scores.append(trained.predict(CORPUS.only("test")))
    assert weights[0]
    assert all(np.array_equal(weights[0][k].numpy(), weights[1][k].numpy()) for k in weights[0])
    assert scores[0].equals(scores[1])


@given(pattern=st.sampled_from(["rmm", "outage", "rmfm"]), rate=st.floats(0, 0.9), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_only_training_and_validation_lose_data(pattern, rate, seed):
    thinned = thin(CORPUS, Thin(pattern, rate, seed))
    test = thinned.only("test")
    for row, whole in enumerate(np.flatnonzero(CORPUS.utterances.split == 2)):
        for m in CORPUS.frames:
            assert np.array_equal(test.frames[m].of(row), CORPUS.frames[m].of(int(whole)))
    assert thinned.ids == CORPUS.ids
    for m, frames in CORPUS.frames.items():
        assert (thinned.frames[m].count <= frames.count).all()
        assert (thinned.frames[m].any_observed <= frames.any_observed).all()


def test_a_rate_of_zero_changes_nothing_but_the_note():
    thinned = thin(CORPUS, Thin("rmm", 0.0))
    for m, frames in CORPUS.frames.items():
        assert np.array_equal(thinned.frames[m].values, np.concatenate([frames.of(r) for r in range(len(CORPUS))]))
    assert thinned.provenance.notes[-1].startswith("training data were thinned")


def test_the_same_seed_removes_the_same_and_another_one_does_not(tmp_path):
    one, two, other = (folder_digest(thin(CORPUS, Thin("rmm", 0.5, s)), tmp_path / str(i)) for i, s in enumerate((0, 0, 1)))
    assert one == two != other


def test_a_corpus_that_lacks_frames_already_is_thinned_on_top():
    once = thin(CORPUS, Thin("rmfm", 0.4))
    twice = thin(once, Thin("rmfm", 0.4, 1))
    for m in CORPUS.frames:
        assert (twice.frames[m].any_observed <= once.frames[m].any_observed).all()
    statistics = fit_statistics(twice)
    assert all(np.isfinite(mean).all() for mean in statistics.mean.values())


def test_transcripts_go_with_the_text():
    texts = [f"turn {i}" for i in range(len(CORPUS))]
    spoken = replace(CORPUS, utterances=replace(CORPUS.utterances, text=lambda: pa.array(texts, pa.large_string())))
    thinned = thin(spoken, Thin("rmm", 0.5))
    lost = thinned.frames["text"].count == 0
    assert lost.any()
    assert [t is None for t in thinned.transcripts] == lost.tolist()


def test_load_corpus_thins_after_it_made_the_splits():
    whole = load_corpus("duet", preset="tiny", split="fold", test_fold=1)
    thinned = load_corpus("duet", preset="tiny", split="fold", test_fold=1, thin={"pattern": "rmm", "rate": 0.5})
    assert (thinned.utterances.split == whole.utterances.split).all()
    assert all(by_split["train"] and not by_split["test"] for by_split in thinned.absences().values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patern": "rmm"}, "pattern"),
        ({"rate": 1.0}, "below 1"),
        ({"rate": -0.1}, "rate"),
        ({"pattern": "rm"}, "rmm"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_corpus("duet", preset="tiny", thin=settings)


@pytest.mark.parametrize("text", ["rmm", "rmm:x", "rmm:0.5:1:2", "rmm:0.5:x"])
def test_wrong_text_of_the_command_line_is_named(text):
    with pytest.raises(ConfigError, match="PATTERN:RATE"):
        Thin.parse(text)
