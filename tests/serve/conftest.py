"""A model of recordings that needs no weights, trained on tones and sentences."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import lacuna
from media_recordings import glide, wav_bytes

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
CLASSES = {"joy": ("this is wonderful news", 0.5), "sadness": ("I miss her so much", 0.1)}  # words, loudness


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> lacuna.Model:
    """A model in which both the words and the loudness say the emotion, neither of them always."""
    folder, random = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    rows = [("id", "file", "text", "split", "emotion")]
    for index, split in enumerate(["train"] * 24 + ["valid"] * 12):
        name = list(CLASSES)[index % 2]
        words, _ = CLASSES[name if random.random() < 0.9 else "joy"]
        _, level = CLASSES[name if random.random() < 0.6 else "sadness"]
        sound = glide(random.uniform(0.5, 2), level=level)
        noise = random.normal(0, random.uniform(0.001, 0.05), sound.shape)
        (folder / f"{index}.wav").write_bytes(wav_bytes(sound + noise))
        rows.append((str(index), f"{index}.wav", words, split, name))
    with (folder / "recordings.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    encode = {"text": "hashing", "audio": "functionals", "vision": None}
    corpus = lacuna.load_corpus(folder, encode=encode, options={"cache": folder / "cache"}, split="given")
    return lacuna.create_model("logreg").fit(corpus, seed=0)
