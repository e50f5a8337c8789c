"""Sound and picture on one clock; whatever is wrong is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lacuna.media import Limits, MediaError, Video, inspect, read_audio
from lacuna.media.decode import window
from media_recordings import RATE, glide, movie_bytes, wav_bytes

Write = Callable[[str, bytes], Path]


def kinds(path: Path) -> set[str]:
    return {problem.kind for problem in read_audio(path).problems}


@pytest.mark.parametrize("container", ["wav", "flac", "mp4", "mkv"])
def test_intact_sound_is_read_whole(good: dict[str, bytes], write: Write, container: str) -> None:
    audio = read_audio(write(f"a.{container}", good[container]))
    assert audio.seconds == pytest.approx(2, abs=0.1)
    assert audio.observed.mean() > 0.95
    assert not audio.problems
    wanted = glide(2)[: len(audio.samples)]
    if container != "mp4":  # AAC is not exact
        np.testing.assert_allclose(audio.samples[: len(wanted)], wanted, atol=2e-4)


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
def test_pictures_are_those_shown_at_the_middle_of_each_interval(good: dict[str, bytes], write: Write, container: str) -> None:
    video = Video(write(f"a.{container}", good[container]), rate=5)
    pictures = list(video)[:10]  # the index of AVI promises a frame more
    assert [round(p.time, 3) for p in pictures] == [0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9]
    for picture in pictures:
        assert picture.image is not None
        assert picture.image.shape == (48, 64, 3)
        slack = 13 if container == "avi" else 9  # a frame and the codec; AVI is written two frames late
        assert picture.image.mean() == pytest.approx(100 * picture.time, abs=slack)
    assert not video.problems


def test_all_frames_come_at_their_own_times(good: dict[str, bytes], write: Write) -> None:
    times = [picture.time for picture in Video(write("a.mp4", good["mp4"]))]
    np.testing.assert_allclose(times, np.arange(50) / 25, atol=1e-3)


def test_a_late_track_is_not_shifted(write: Write) -> None:
    video = Video(write("a.mkv", movie_bytes("mkv", late=1.0)), rate=5)
    pictures = list(video)
    assert [p.image is not None for p in pictures] == [False] * 5 + [True] * 5
    assert pictures[-1].image is not None
    assert pictures[-1].image.mean() == pytest.approx(190, abs=9)
    assert [p.kind for p in video.problems] == ["late"]


@pytest.mark.parametrize("container", ["wav", "mkv"])
def test_a_part_of_a_recording_equals_the_cut_of_the_whole(good: dict[str, bytes], write: Write, container: str) -> None:
    path = write(f"a.{container}", good[container])
    whole, part = read_audio(path), read_audio(path, 0.5, 1.25)
    np.testing.assert_array_equal(part.samples, whole.samples[RATE // 2 : RATE * 5 // 4])


def test_a_late_part_of_a_long_recording_is_found_by_seeking(write: Write) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32)
    path = write("long.wav", wav_bytes(samples))
    part = read_audio(path, 30.0, 31.0)
    assert part.observed.all()
    np.testing.assert_allclose(part.samples, samples[30 * RATE : 31 * RATE], atol=1e-4)


def test_a_clip_behind_the_end_is_refused(good: dict[str, bytes], write: Write) -> None:
    for call in (lambda p: read_audio(p, 10, 11), lambda p: list(Video(p, 10, 11, rate=5))):
        with pytest.raises(MediaError, match="the clip begins at") as error:
            call(write("a.mkv", good["mkv"]))
        assert error.value.problem.kind == "outside"


def test_a_clip_longer_than_the_limit_is_cut_and_said(write: Write) -> None:
    audio = read_audio(write("a.wav", wav_bytes(glide(3))), limits=Limits(clip_seconds=1))
    assert audio.seconds == 1
    assert [p.kind for p in audio.problems] == ["too_long"]


def test_a_picture_larger_than_the_limit_is_refused(good: dict[str, bytes], write: Write) -> None:
    with pytest.raises(MediaError, match="64 x 48"):
        list(Video(write("a.mp4", good["mp4"]), rate=5, limits=Limits(pixels=1000)))


def test_decoding_stops_at_the_time_limit(good: dict[str, bytes], write: Write) -> None:
    video = Video(write("a.mp4", good["mp4"]), rate=5, limits=Limits(wait=-1))
    with pytest.raises(MediaError) as error:
        list(video)
    assert error.value.problem.kind == "too_slow"


def test_what_was_not_decoded_in_time_is_not_called_missing(
    good: dict[str, bytes], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(window, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    video = Video(write("a.mp4", good["mp4"]), limits=Limits(wait=60))
    for picture in video:
        clock[0] = 100 * picture.time  # seconds
    assert [problem.kind for problem in video.problems] == ["too_slow"]
    assert 0.6 < picture.time < 0.8


def test_tracks_are_told_without_decoding(good: dict[str, bytes], write: Write) -> None:
    movie, sound = inspect(write("a.mp4", good["mp4"])), inspect(write("a.wav", good["wav"]))
    assert (movie.audio, movie.video, movie.size, movie.sampling_rate) == (True, True, (64, 48), RATE)
    assert (sound.audio, sound.video, sound.duration) == (True, False, 2.0)


def test_a_truncated_wav_is_noticed_although_the_library_hides_it(write: Write) -> None:
    audio = read_audio(write("a.wav", wav_bytes(glide(2))[: 44 + RATE * 2]))
    assert [p.reason for p in audio.problems] == ["the audio ends at 1.00 s of 2.00 s; 1.00 s are missing"]
    assert audio.seconds == 2
    assert audio.observed.mean() == 0.5
