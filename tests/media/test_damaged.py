"""Damaged files: each gets its reason, none stops or hangs the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from damaged_recordings import DAMAGE, Files
from lacuna.media import MediaError, Video
from lacuna.media.clips import Clip
from lacuna.media.decode import Limits
from lacuna.media.encode import ClipJob, encode_clip
from lacuna.media.encoders import create_encoder

Write = Callable[[str, bytes], Path]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_has_its_reason(damage: str, good: Files, write: Write, tmp_path: Path) -> None:
    name, make, expected, used = DAMAGE[damage]
    path = write(name, make(good))
    job = ClipJob(Clip("a", path), (create_encoder("audio", "logmel"),), tmp_path / "cache", Limits(clip_seconds=60))
    done = encode_clip(job)
    assert {problem.kind for problem in done.problems["audio"]} == expected
    assert ("audio" in done.files) is used
    assert encode_clip(job).problems == done.problems  # from the cache
    with suppress(MediaError):
        list(Video(path, rate=5))


def test_at_least_25_kinds_of_damage_are_tested() -> None:
    assert len(DAMAGE) >= 25


@pytest.mark.parametrize("container", ["wav", "flac", "mp4", "mkv", "avi"])
def test_random_changes_never_raise_anything_else(container: str, good: Files, write: Write) -> None:
    from lacuna.media import read_audio

    rng = np.random.default_rng(1)
    limits = Limits(clip_seconds=20, wait=20)
    for index in range(15):
        content = bytearray(good[container])
        for place in rng.integers(0, len(content) if index % 2 else 400, 1 + index):
            content[place] = rng.integers(256)
        path = write(f"a.{container}", bytes(content))
        for read in (lambda p: read_audio(p, limits=limits), lambda p: list(Video(p, rate=5, limits=limits))):
            with suppress(MediaError):
                read(path)


def test_a_folder_and_a_missing_file_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    for path in (tmp_path / "a.wav", tmp_path / "b.wav"):
        with pytest.raises(MediaError) as error:
            list(Video(path))
        assert error.value.problem.kind == "no_file"
