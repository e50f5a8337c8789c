"""Intact recordings, and where tests write theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from media_recordings import glide, movie_bytes, wav_bytes


@pytest.fixture(scope="session")
def good() -> dict[str, bytes]:
    """Intact recordings of two seconds, by container."""
    movies = {container: movie_bytes(container) for container in ("mp4", "mkv", "avi")}
    return {"wav": wav_bytes(glide(2)), "flac": movie_bytes("flac", video=False), **movies}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Write a file into the folder of the test."""

    def write_file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write_file
