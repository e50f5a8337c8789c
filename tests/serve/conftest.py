"""A model of recordings that needs no weights, trained on tones and sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import lacuna
from lacuna.corpus import Corpus
from media_recordings import glide, wav_bytes

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
CLASSES = {"joy": ("this is wonderful news", 0.5), "sadness": ("I miss her so much", 0.1)}  # words, loudness


def corpus_of(folder: Path) -> Corpus:
    """Return a corpus in which words and loudness say the emotion, neither of them always; ``valence`` is 1 for joy, else -1."""
    random = np.random.default_rng(0)
    rows = [("id", "file", "text", "split", "emotion", "valence")]
    for index, split in enumerate(["train"] * 24 + ["valid"] * 12):
        name = list(CLASSES)[index % 2]
        words, _ = CLASSES[name if random.random() < 0.9 else "joy"]
        _, level = CLASSES[name if random.random() < 0.6 else "sadness"]
        sound = glide(random.uniform(0.5, 2), level=level)
        noise = random.normal(0, random.uniform(0.001, 0.05), sound.shape)
        (folder / f"{index}.wav").write_bytes(wav_bytes(sound + noise))
        valence = (1 if name == "joy" else -1) + random.uniform(-0.3, 0.3)
        rows.append((str(index), f"{index}.wav", words, split, name, f"{valence:.3f}"))
    with (folder / "recordings.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    encode = {"text": "hashing", "audio": "functionals", "vision": None}
    return lacuna.load_corpus(folder, encode=encode, options={"cache": folder / "cache"}, split="given")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return corpus_of(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="session")
def model(corpus: Corpus) -> lacuna.Model:
    return lacuna.create_model("logreg").fit(corpus, seed=0, target="emotion")


@pytest.fixture(scope="session")
def regressor(corpus: Corpus) -> lacuna.Model:
    """A model that answers with a value instead of a class."""
    return lacuna.create_model("logreg").fit(corpus, seed=0, target="valence")


@pytest.fixture(scope="session")
def weigher(corpus: Corpus) -> lacuna.Model:
    """A model whose answer is a sum over modalities."""
    return lacuna.create_model("evidence", hidden=8).fit(corpus, seed=0, target="emotion", epochs=3)
