"""The corpus of an extraction is written a block of dialogues at a time: the same bytes, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lacuna.atomic import sha256
from lacuna.corpus import open_corpus, save_corpus
from lacuna.errors import DataError
from lacuna.media import collect, encode_texts, extract
from lacuna.media.clips import Clip, Clips
from lacuna.media.encode import ClipResult, write_encoded
from lacuna.media.encoders import Encoded, create_encoder
from lacuna.media.quarantine import FILE
from media_recordings import glide, wav_bytes

ENCODE = {"text": "hashing", "audio": "logmel", "vision": None}
MIB = 1 << 20


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Dialogues of one and two turns in unsorted rows, modalities that are absent from whole dialogues, and a broken file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["id,file,text,dialogue,turn,speaker,split,emotion"]
    for n in range(10):
        (folder / f"{n}.wav").write_bytes(b"nothing" if n == 7 else wav_bytes(glide(0.3 + 0.05 * n)))
        file, text = ("" if n in (0, 1) else f"{n}.wav"), ("" if n in (4, 7) else f"words {n}")
        split = ("test", "train", "valid")[n // 2 % 3]
        rows.append(f"u{n},{file},{text},d{n // 2},{9 - n},s{n % 3},{split},{'joy' if n % 2 else ''}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("block", [0, 8_000, collect.BLOCK])
def test_blocks_do_not_change_a_byte(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    whole = extract(recordings, ENCODE, cache=tmp_path / "cache")
    assert whole.corpus.folder is None
    save_corpus(whole.corpus, tmp_path / "whole")
    expected = hashes(tmp_path / "whole")
    monkeypatch.setattr(collect, "BLOCK", block)
    written = extract(recordings, ENCODE, cache=tmp_path / "cache", out=tmp_path / "out").corpus
    assert written.folder == tmp_path / "out"
    assert {name: digest for name, digest in hashes(tmp_path / "out").items() if name != FILE} == expected
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / FILE, keep_default_na=False), whole.quarantine)
    again = encode_texts(written, {"name": "hashing", "pairs": False}, cache=tmp_path / "cache")
    texts = encode_texts(written, {"name": "hashing", "pairs": False}, cache=tmp_path / "cache", out=tmp_path / "texts")
    assert texts.modalities == again.modalities
    np.testing.assert_array_equal(texts.frames["text"].values, again.frames["text"].values)
    np.testing.assert_array_equal(texts.frames["audio"].values, again.frames["audio"].values)


def test_features_that_left_the_cache_are_missed(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = collect.read_encoded
    monkeypatch.setattr(collect, "read_encoded", lambda path: None if path.parent.name == "logmel" else read(path))
    with pytest.raises(DataError, match=r"features are not in the cache any more(.|\n)*logmel(.|\n)*a damaged file"):
        extract(recordings, ENCODE, cache=tmp_path / "cache", out=tmp_path / "out")
    assert not (tmp_path / "out" / "corpus.json").exists()


def peak_of(folder: Path, count: int) -> int:
    """Return the most bytes in memory while ``count`` clips with 1 MiB of features each become a corpus on disk."""
    encoder = create_encoder("audio", "logmel")
    path = folder / "cache" / "large.safetensors"
    write_encoded(path, Encoded(np.ones((1024, 256), np.float32)))
    names = [f"u{n}" for n in range(count)]
    clips = Clips([Clip(name, None) for name in names], names, [0] * count, names)
    results = [ClipResult({"audio": path}, {"audio": ()}, "")] * count
    quarantine = pd.DataFrame(columns=["id", "modality", "outcome", "kind"])
    utterances = collect.utterances_of("large", folder, clips, [encoder], results=results, quarantine=quarantine)
    tracemalloc.start()
    try:
        collect.with_features(utterances, results, [encoder], out=folder / str(count))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "BLOCK", 4 * MIB)
    few, many = peak_of(tmp_path, 16), peak_of(tmp_path, 48)
    assert len(open_corpus(tmp_path / "48").frames["audio"].values) == 48 * 1024
    assert many < 24 * MIB
    assert many < few + MIB
