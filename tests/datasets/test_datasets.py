"""Catalog datasets: whole or absent, on any file system, and never more than a node may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from lacuna.corpus import Corpus
from lacuna.datasets.corpus import CorpusDataset, CorpusValidator
from lacuna.datasets.files import AtomicFileDataset, JSONDataset, TableDataset, TensorsDataset
from lacuna.errors import DataError
from standin import StandIn, generate

FILES: list[tuple[type[AtomicFileDataset[Any]], Any]] = [
    (TableDataset, pd.DataFrame({"rate": [0.0, 0.5], "model": ["a", "b"]})),
    (TensorsDataset, {"mean.audio": np.arange(3, dtype=np.float32)}),
    (JSONDataset, {"name": "kø", "absences": {"audio": 3}}),
]


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "somewhere")
        return
    yield f"memory://{tmp_path.name}"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def corpus() -> Corpus:
    return generate(StandIn(dialogues=10, turns=3, frames=4))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, pd.DataFrame):
        return bool(a.equals(b))
    if isinstance(a, dict) and any(isinstance(v, np.ndarray) for v in a.values()):
        return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
    return bool(a == b)


@pytest.mark.parametrize(("kind", "content"), FILES)
def test_files_come_back_as_they_were(kind: type[AtomicFileDataset[Any]], content: Any, place: str) -> None:
    dataset = kind(filepath=f"{place}/x.bin")
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="nothing was saved"):
        dataset.load()
    dataset.save(content)
    assert dataset.exists()
    assert same(dataset.load(), content)


@pytest.mark.parametrize(("kind", "content"), FILES)
def test_a_failed_save_leaves_the_old_file(
    kind: type[AtomicFileDataset[Any]], content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kedro's own datasets leave half a file behind, and no old one."""
    dataset = kind(filepath=str(tmp_path / "x.bin"))
    dataset.save(content)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as handle:
            handle.write(data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DatasetError, match="No space left"):
        dataset.save(content)
    monkeypatch.undo()
    assert same(dataset.load(), content)
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not JSON compliant"):
        JSONDataset(filepath=str(tmp_path / "x.json")).save({"value": float("nan")})


def test_a_corpus_comes_back_on_any_file_system(corpus: Corpus, place: str) -> None:
    dataset = CorpusDataset(filepath=place)
    assert not dataset.exists()
    dataset.save(corpus)
    back = dataset.load()
    assert back.ids == corpus.ids
    for name, frames in corpus.frames.items():
        for row in range(len(corpus)):
            np.testing.assert_array_equal(back.frames[name].of(row), frames.of(row))


def test_an_entry_sees_its_splits_only_and_cannot_be_written(corpus: Corpus, tmp_path: Path) -> None:
    CorpusDataset(filepath=str(tmp_path)).save(corpus)
    development = CorpusDataset(filepath=str(tmp_path), splits=["train", "valid"])
    assert set(np.unique(development.load().utterances.split)) == {0, 1}
    with pytest.raises(DatasetError, match="sees some splits only"):
        development.save(corpus)


def test_a_broken_corpus_is_refused_before_anything_is_written(corpus: Corpus) -> None:
    rows = np.arange(len(corpus))
    shared = corpus.take(rows)
    shared.utterances.split[1] = 2  # a dialogue in train and test
    with pytest.raises(DataError, match="shared between splits"):
        CorpusValidator().validate(shared)


def test_kedro_viz_can_preview(corpus: Corpus, tmp_path: Path) -> None:
    dataset = CorpusDataset(filepath=str(tmp_path))
    dataset.save(corpus)
    preview = dataset.preview()
    assert len(preview["data"]) == 8
    assert preview["columns"][0] == "utterance"
