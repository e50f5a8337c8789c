"""Data of which scores would say nothing are refused, or named in log and report."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus import Channel, Corpus, Target, save_corpus
from lacuna.corpus.assemble import assemble
from lacuna.corpus.cautions import data_cautions
from lacuna.corpus.doctor import examine
from lacuna.corpus.statistics import fit_statistics
from lacuna.corpus.validate import one_class
from lacuna.errors import DataError
from lacuna.loading import with_splits
from lacuna.training import Recipe, TrainingConfig, fit


def _corpus(labels: list[float], target: Target, scale: float = 1.0, constant: bool = False) -> Corpus:
    rng = np.random.default_rng(0)
    return assemble(
        "toy",
        ids=[f"u{i}" for i in range(12)],
        dialogues=[f"d{i // 2}" for i in range(12)],
        turns=[i % 2 for i in range(12)],
        splits=["train"] * 6 + ["valid"] * 2 + ["test"] * 4,
        channels={
            "text": Channel((scale * rng.normal(size=(12, 3))).astype(np.float32)),
            "audio": Channel(np.ones((12, 2), np.float32) if constant else rng.normal(size=(12, 2)).astype(np.float32)),
        },
        targets=[target],
        labels={target.name: labels},
    )


CLASSES = Target("mood", "classification", ("a", "b", "c"))


def test_a_class_of_test_only_and_constant_features_are_named(caplog: pytest.LogCaptureFixture) -> None:
    corpus = _corpus([0, 1] * 4 + [0, 1, 2, 2], CLASSES, constant=True)
    features, classes = data_cautions(corpus)
    assert "'audio' are equal" in features
    assert "target 'mood': c." in classes
    with caplog.at_level(logging.WARNING):
        fit(Recipe.of(corpus, "mlp", TrainingConfig(epochs=1)))
    assert "all training features of modality 'audio' are equal" in caplog.text
    assert data_cautions(_corpus([0, 1] * 6, CLASSES)) == []


def _without(corpus: Corpus, modality: str, rows: slice) -> Corpus:
    frames = corpus.frames[modality]
    count = frames.count.copy()
    count[rows] = 0
    return replace(corpus, frames={**corpus.frames, modality: replace(frames, count=count)})


@pytest.mark.parametrize(("rows", "split"), [(slice(0, 6), "train"), (slice(6, 8), "valid"), (slice(8, 12), "test")])
def test_a_modality_that_a_split_lacks_is_named(
    rows: slice, split: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    corpus = _without(_corpus([0, 1, 2] * 4, CLASSES), "audio", rows)
    (caution,) = data_cautions(corpus)
    assert caution.startswith(f"Modality 'audio' is absent from every {split} utterance")
    with caplog.at_level(logging.WARNING, logger="lacuna.loading"):
        with_splits(corpus)
    assert caution in caplog.text
    save_corpus(corpus, tmp_path / "toy")
    assert caution in examine(tmp_path / "toy").warnings
    assert data_cautions(_without(_corpus([0, 1, 2] * 4, CLASSES), "audio", slice(1, 12, 2))) == []


def test_a_test_without_labels_is_named() -> None:
    (caution,) = data_cautions(_corpus([0, 1] * 4 + [-1] * 4, CLASSES))
    assert caution == "No test utterance is labelled for target 'mood': models cannot be scored."


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_value_everywhere_is_refused(split: str) -> None:
    labels = np.linspace(-1, 1, 12)
    labels[slice(0, 6) if split == "train" else slice(8, 12)] = 0.5
    target = Target("valence", "regression", low=-1, high=1)
    error = one_class(_corpus(labels.tolist(), target), target)
    assert error is not None
    assert f"one value in {split}" in str(error)


def test_features_whose_squares_overflow_are_refused() -> None:
    corpus = _corpus([0, 1] * 6, CLASSES, scale=1e30)
    with pytest.raises(DataError, match=r"overflow float32(.|\n)*modality 'text'"):
        fit_statistics(replace(corpus))
