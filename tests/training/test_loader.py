from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.batch import Batch
from lacuna.corpus.statistics import fit_statistics
from lacuna.corpus.storage.tensors import read_rows
from lacuna.errors import DataError
from lacuna.missing import Layout, MaskPlan, list_patterns
from lacuna.training import Loader


def ragged(toys: ModuleType) -> Corpus:
    """Up to 7 frames, with unobserved frames in one modality and token ids in another."""
    corpus = toys.make_corpus(frames=7)
    text, audio = corpus.frames["text"], corpus.frames["audio"]
    rng = np.random.default_rng(0)
    frames = corpus.frames | {
        "text": replace(text, tokens=rng.integers(1, 99, len(text.values)), observed=rng.random(len(text.values)) < 0.8),
        "audio": replace(audio, observed=rng.random(len(audio.values)) < 0.7),
    }
    modalities = tuple(replace(m, vocabulary=100 if m.name == "text" else None) for m in corpus.modalities)
    return replace(corpus, frames=frames, modalities=modalities)


def assert_same(a: Batch, b: Batch) -> None:
    for f in fields(Batch):
        x, y = getattr(a, f.name), getattr(b, f.name)
        for p, q in zip(x.values(), y.values(), strict=True) if isinstance(x, dict) else [(x, y)]:
            assert p == q if f.name == "ids" else torch.equal(p.nan_to_num(), q.nan_to_num()) and p.dtype == q.dtype


@pytest.mark.parametrize("whole_dialogues", [False, True])
@pytest.mark.parametrize("kind", ["vectors", "ragged"])
def test_kept_and_mapped_splits_give_the_batches_of_the_corpus(
    kind: str, whole_dialogues: bool, toys: ModuleType, tmp_path: Path
) -> None:
    corpus = toys.make_corpus() if kind == "vectors" else ragged(toys)
    mapped = open_corpus(save_corpus(corpus, tmp_path / "corpus"))
    statistics = fit_statistics(corpus)
    common = {"schema": corpus.schema(), "statistics": statistics, "batch_size": 9, "whole_dialogues": whole_dialogues}
    read, kept, disk = (
        Loader(corpus.only("train"), **common, keep_bytes=0),
        Loader(corpus.only("train"), **common),
        Loader(mapped.only("train"), **common, keep_bytes=0),
    )
    assert read._kept is None
    assert kept._kept is not None
    for rows in read.rows((0, 1)):
        assert_same(read.read(rows), kept.read(rows))
        assert_same(read.read(rows), disk.read(rows))
    for mean, other in zip(statistics.to_tensors().values(), fit_statistics(mapped).to_tensors().values(), strict=True):
        np.testing.assert_array_equal(mean, other)


def test_the_order_is_a_function_of_seed_and_epoch(corpus: Corpus) -> None:
    loader = Loader(corpus.only("train"), corpus.schema(), fit_statistics(corpus), 16)

    def order(*shuffle: int) -> list[int]:
        return np.concatenate(loader.rows(shuffle)).tolist()  # type: ignore[arg-type]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(s, e)) for s in range(3) for e in range(3)}) == 9
    assert sorted(order(5, 5)) == list(range(len(corpus.only("train"))))


def test_dialogues_stay_whole_and_in_order(corpus: Corpus) -> None:
    train = corpus.only("train")
    loader = Loader(train, corpus.schema(), fit_statistics(corpus), 7, whole_dialogues=True)
    seen = []
    for rows in loader.rows((0, 0)):
        assert len(rows) == 10  # two dialogues of five turns: the second one starts within the batch
        for dialogue in np.unique(train.utterances.dialogue[rows]):
            mine = rows[train.utterances.dialogue[rows] == dialogue]
            assert train.utterances.turn[mine].tolist() == [0, 1, 2, 3, 4]
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(train)))


def test_rows_of_a_mapped_file_are_those_of_the_array(toys: ModuleType, tmp_path: Path) -> None:
    corpus = open_corpus(save_corpus(ragged(toys), tmp_path / "corpus"))
    frames = corpus.frames["text"]
    for rows in ([], [3], [0, 1, 2, 3, 4], [9, 2, 2, 3, 50]):
        start, count = frames.start[rows], frames.count[rows]
        expected = [frames.of(row) for row in rows] or [np.zeros((0, 6), np.float32)]
        np.testing.assert_array_equal(read_rows(frames.values, start, count), np.concatenate(expected))
        np.testing.assert_array_equal(read_rows(np.array(frames.values), start, count), np.concatenate(expected))


def test_a_file_cut_off_while_in_use_is_an_error(toys: ModuleType, tmp_path: Path) -> None:
    corpus = open_corpus(save_corpus(toys.make_corpus(), tmp_path / "corpus"))
    path = next((tmp_path / "corpus").glob("features-*"))
    with path.open("r+b") as handle:
        handle.truncate(path.stat().st_size // 2)
    last = corpus.frames["vision"]
    with pytest.raises(DataError, match="cut off while in use"):
        read_rows(last.values, last.start, last.count)


def test_masks_of_a_mapped_corpus_are_those_of_the_array(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = ragged(toys)
    mapped = open_corpus(save_corpus(corpus, tmp_path / "corpus"))
    monkeypatch.setattr("lacuna.corpus.storage.tensors.SMALL", 0)
    rows = np.array([5, 1, 1, 30])
    for kind in list_patterns():
        one, two = (MaskPlan(kind, 0.4, 3).over(Layout.of(c.only("train"))) for c in (corpus, mapped))
        assert one.measured() == two.measured()
        for m, present in one.present(rows).items():
            np.testing.assert_array_equal(present, two.present(rows)[m])
            np.testing.assert_array_equal(one.missing_flat()[m], two.missing_flat()[m])
