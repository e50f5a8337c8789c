"""Features that are computed on a Ray cluster are those of this machine, bit for bit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lacuna.corpus import Corpus
from lacuna.errors import DataError
from lacuna.media import extract
from lacuna.parallel import run_on_ray
from media_recordings import glide, movie_bytes, wav_bytes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ENCODE = {"text": "hashing", "audio": "logmel", "vision": None}
TABLE = """id,file,start,end,text,dialogue,turn
a1,a.wav,0,1,I am happy,a,0
a2,a.wav,1,2.5,,a,1
b1,b.mkv,,,I am sad,b,0
c1,broken.mp4,,,,c,0
"""


@pytest.fixture
def small_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[cluster]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "240")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else tasks wait for everything else on a busy machine
    monkeypatch.setenv("PYTHONPATH", ":".join(p for p in sys.path if p))


def content(corpus: Corpus) -> list[object]:
    frames = [corpus.frames[m.name] for m in corpus.modalities]
    return [corpus.ids, corpus.modalities, *[(f.values.tobytes(), f.count.tolist(), str(f.observed)) for f in frames]]


def failing(number: int) -> int:
    """Fail for the number 1."""
    if number == 1:
        raise DataError("the job failed", corpus="toy")
    return os.getpid()


@pytest.mark.usefixtures("small_cluster")
def test_clips_are_encoded_on_the_cluster_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.wav").write_bytes(wav_bytes(glide(3)))
    (tmp_path / "mine" / "b.mkv").write_bytes(movie_bytes("mkv", video=False))
    (tmp_path / "mine" / "broken.mp4").write_bytes(b"nothing")
    (tmp_path / "mine" / "recordings.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    expected = extract(Path("mine"), ENCODE, cache="cache-here")
    found = extract(Path("mine"), ENCODE, cache="cache-ray", ray="local")
    assert content(found.corpus) == content(expected.corpus)
    assert found.quarantine.equals(expected.quarantine)
    cached = [sorted(p.relative_to(c).as_posix() for p in Path(c).rglob("*.safetensors")) for c in ("cache-here", "cache-ray")]
    assert cached[0] == cached[1] != []


@pytest.mark.usefixtures("small_cluster")
def test_an_error_of_a_task_is_its_result() -> None:
    results = dict(run_on_ray(failing, range(3), "local"))
    assert isinstance(results[1], DataError)
    assert os.getpid() not in (results[0], results[2])
