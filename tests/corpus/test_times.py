"""Times of frames: stored, optional, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.storage.writer import CorpusWriter
from lacuna.errors import DataError


def timed(ids: list[str], times: list[list[float] | None] | None) -> Corpus:
    """One utterance of two frames for each id, each a dialogue of its own."""
    frames = [np.full((2, 3), index + 1.0) for index in range(len(ids))]
    return assemble("timed", ids=ids, dialogues=ids, turns=[0] * len(ids), channels={"audio": Channel(frames, times=times)})


def test_times_are_kept_on_disk_and_in_views(tmp_path: Path) -> None:
    corpus = timed(["a", "b"], [[0.05, 0.15], None])
    stored = open_corpus(save_corpus(corpus, tmp_path), verify=True)
    for one in (corpus, stored):
        np.testing.assert_array_equal(one.frames["audio"].times, np.float32([0.05, 0.15, np.nan, np.nan]))
    frames = stored.take(np.array([1])).frames["audio"]
    assert frames.times is not None
    assert np.isnan(frames.times[frames.start[0] :]).all()


def test_a_corpus_without_times_has_none(tmp_path: Path) -> None:
    assert open_corpus(save_corpus(timed(["a"], None), tmp_path), verify=True).frames["audio"].times is None


@pytest.mark.parametrize("first_has_times", [True, False])
def test_pieces_with_and_without_times_may_be_joined(tmp_path: Path, first_has_times: bool) -> None:
    known = [[0.5, 1.5]]
    with CorpusWriter(tmp_path) as writer:
        writer.append(timed(["a"], known if first_has_times else None))
        writer.append(timed(["b"], None if first_has_times else known))
    times = open_corpus(tmp_path, verify=True).frames["audio"].times
    assert times is not None
    expected = [0.5, 1.5, np.nan, np.nan] if first_has_times else [np.nan, np.nan, 0.5, 1.5]
    np.testing.assert_array_equal(times, np.float32(expected))


@pytest.mark.parametrize("times", [[[0.5]], [[1.5, 0.5]], [[0.5, np.inf]]])
def test_times_that_do_not_fit_the_frames_are_refused(times: list[list[float] | None]) -> None:
    with pytest.raises(DataError, match="the times do not fit the frames"):
        timed(["a"], times)


def test_modalities_can_be_left_out() -> None:
    corpus = assemble(
        "two", ids=["a"], dialogues=["a"], turns=[0], channels={m: Channel([np.ones((1, 2))]) for m in ("audio", "vision")}
    )
    assert [m.name for m in corpus.without("vision").modalities] == ["audio"]
    with pytest.raises(Exception, match="did you mean 'vision'"):
        corpus.without("visions")
    with pytest.raises(Exception, match="no modality left"):
        corpus.without("audio", "vision")
