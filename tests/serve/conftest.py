"""A model of recordings that needs no weights, trained on tones and sentences."""

from __future__ import annotations

import csv

import pytest

import lacuna
from media_recordings import glide, wav_bytes

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
CLASSES = {"joy": ("this is wonderful news", 0.5), "sadness": ("I miss her so much", 0.05)}  # words, loudness


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> lacuna.Model:
    folder = tmp_path_factory.mktemp("recordings")
    rows = [("id", "file", "text", "split", "emotion")]
    for index, split in enumerate(["train"] * 8 + ["valid"] * 4 + ["test"] * 2):
        name, (words, level) = list(CLASSES.items())[index % 2]
        (folder / f"{index}.wav").write_bytes(wav_bytes(glide(0.5, level=level * (1 + index / 50))))
        rows.append((str(index), f"{index}.wav", words, split, name))
    with (folder / "recordings.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    encode = {"text": "hashing", "audio": "functionals", "vision": None}
    corpus = lacuna.load_corpus(folder, encode=encode, options={"cache": folder / "cache"})
    return lacuna.create_model("linear").fit(corpus, epochs=20, seed=0)
