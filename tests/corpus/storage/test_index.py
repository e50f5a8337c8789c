"""The index of a corpus on disk: opening reads none of it, views copy none of it, and it equals the table."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lacuna.atomic import store
from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.batch import collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.corpus.storage import tensors
from lacuna.corpus.storage.columns import Column
from lacuna.errors import DataError
from lacuna.missing import Layout, MaskPlan
from lacuna.training.loader import Loader

NUMBERS = ("dialogue", "turn", "speaker", "split")


def arrays(corpus: Corpus) -> dict[str, np.ndarray]:
    u = corpus.utterances
    result = {name: getattr(u, name) for name in NUMBERS} | {"key": corpus.keys}
    result |= {f"label {name}": values for name, values in u.labels.items()}
    for name, frames in corpus.frames.items():
        result |= {f"start {name}": frames.start, f"count {name}": frames.count, f"values {name}": frames.values}
    return result


@pytest.fixture
def opened(corpus, tmp_path):
    return open_corpus(save_corpus(corpus, tmp_path / "c"))


def test_opening_reads_no_column_and_views_copy_none(corpus, opened):
    assert all(tensors._mapped(a) is not None for a in arrays(opened).values())
    for split in (("train",), ("valid",), ("train", "valid")):
        view, expected = opened.only(*split), corpus.only(*split)
        for name, values in arrays(view).items():
            assert np.shares_memory(values, arrays(opened)[name]), name
            if not name.startswith(("start", "values")):
                np.testing.assert_array_equal(values, arrays(expected)[name], name)
        assert view.ids == expected.ids
        assert view.transcripts == expected.transcripts
    assert np.shares_memory(opened.take(np.arange(3, 6)).utterances.turn, opened.utterances.turn)
    assert opened.take(np.array([5, 0, 3])).ids == [corpus.ids[i] for i in (5, 0, 3)]


def test_ids_and_texts_are_not_read_to_take_a_batch(opened, monkeypatch):
    real = Column.__call__
    monkeypatch.setattr(Column, "__call__", lambda self: pytest.fail(f"column {self.name} was read"))
    train = opened.only("train")
    schema, statistics = opened.schema(), fit_statistics(opened)
    batch = Loader(train, schema, statistics).read(np.array([2, 0]))
    MaskPlan("rmm", 0.5).over(Layout.of(train)).present(np.array([2, 0]))
    assert len(batch) == 2
    monkeypatch.setattr(Column, "__call__", real)
    assert list(batch.ids) == ["u2", "u0"] == batch.ids
    assert batch.take(torch.tensor([1])).ids == ["u0"]


def test_a_column_answers_like_an_arrow_array(corpus, opened):
    column, expected = opened.utterances.id, corpus.utterances.id
    assert len(column) == 8
    assert column[-1].as_py() == expected[-1].as_py()
    assert column[2:5].to_pylist() == expected[2:5].to_pylist()
    assert column.slice(3, 2).equals(expected.slice(3, 2))
    assert column.slice(6).equals(expected.slice(6))
    assert column.take(pa.array([7, 0, 0])).to_pylist() == ["u7", "u0", "u0"]
    assert column.view(slice(2, 6)).view(np.array([3, 0])).to_pylist() == ["u5", "u2"]
    assert column.view(np.array([4, 1, 6])).view(slice(1, 3)).to_pylist() == ["u1", "u6"]
    assert column.view(slice(3, 3)).to_pylist() == []
    with pytest.raises(IndexError):
        column[8]


def test_ids_of_a_corpus_that_was_replaced_can_still_be_read(corpus, opened, tmp_path, make):
    save_corpus(make.corpus(ids=[f"v{i}" for i in range(8)]), tmp_path / "c")
    assert opened.ids == corpus.ids


@pytest.mark.parametrize("rows", [[], [3], [0, 1, 2, 5], [7, 2, 2, 3, 6, 0], list(range(8))])
def test_rows_of_a_large_index_are_read(opened, rows, monkeypatch):
    rows = np.array(rows, np.int64)
    monkeypatch.setattr(tensors, "SMALL", 0)
    for view in (opened, opened.take(np.arange(1, 8))):
        inside = rows[rows < len(view)]
        columns = [a for name, a in arrays(view).items() if not name.startswith("values")]
        for gathered, column in zip(tensors.gather(columns, inside), columns, strict=True):
            np.testing.assert_array_equal(gathered, column[inside])
            assert gathered.flags.writeable
            assert gathered.dtype == column.dtype
    pieces = [turn for _, (turn,) in tensors.blocks([opened.utterances.turn], 3)]
    np.testing.assert_array_equal(np.concatenate(pieces), opened.utterances.turn)
    with pytest.raises(IndexError):
        tensors.gather([opened.utterances.turn], np.array([8]))
    with pytest.raises(IndexError):
        tensors.gather([opened.utterances.turn], np.array([-1]))


def test_an_index_cut_off_while_in_use_is_an_error(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "SMALL", 0)
    path = next((tmp_path / "c").glob("features-*"))
    with path.open("r+b") as handle:
        handle.truncate(64)
    with pytest.raises(DataError, match="cut off while in use"):
        collate(opened, np.array([1]), opened.schema(), None)


def test_labels_that_were_replaced_are_the_ones_in_the_batch(opened, monkeypatch):
    monkeypatch.setattr(tensors, "SMALL", 0)
    labels = {**opened.utterances.labels, "mood": np.arange(8) % 2}
    changed = replace(opened, utterances=replace(opened.utterances, labels=labels))
    batch = collate(changed, np.array([1, 4, 5]), opened.schema(), fit_statistics(opened))
    assert batch.label.tolist() == [1, 0, 1]
    assert batch.turn.tolist() == opened.utterances.turn[[1, 4, 5]].tolist()


def swap(folder, kind, suffix, write):
    """Replace a data file and its hash in the manifest."""
    manifest = json.loads((folder / "corpus.json").read_text())
    stored = store(folder, kind, suffix, write)
    manifest["files"][kind] = {"name": stored.name, "bytes": stored.bytes, "sha256": stored.sha256}
    (folder / "corpus.json").write_text(json.dumps(manifest))


COLUMNS = ["id", "dialogue", "turn", "speaker", "split", "target.mood", "target.score", "target.votes", "frames.text"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_table_that_differs_from_the_index_is_refused(corpus, tmp_path, column):
    save_corpus(corpus, tmp_path)
    table = pq.read_table(next(tmp_path.glob("utterances-*")))
    place = table.column_names.index(column)
    order = [0, 1, 2, 3, 4, 5, 7, 6] if column == "target.votes" else [0, 1, 2, 4, 3, 5, 6, 7]  # values that differ
    turned = table.column(column).take(pa.array(order))
    table = table.set_column(place, table.schema.field(column), turned)
    swap(tmp_path, "utterances", "parquet", lambda path: pq.write_table(table, path))
    open_corpus(tmp_path)
    with pytest.raises(DataError, match=f"index and table disagree(.|\n)*'{column}'"):
        open_corpus(tmp_path, verify=True)


def test_a_table_of_another_length_is_refused_when_opened(corpus, tmp_path):
    save_corpus(corpus, tmp_path)
    table = pq.read_table(next(tmp_path.glob("utterances-*")))
    swap(tmp_path, "utterances", "parquet", lambda path: pq.write_table(table.slice(1), path))
    with pytest.raises(DataError, match=r"index and table disagree(.|\n)*expected: \(7, "):
        open_corpus(tmp_path)


@pytest.mark.parametrize("tensor", ["index", "dialogues"])
def test_a_folder_without_an_index_is_an_error_that_says_what_to_do(corpus, tmp_path, tensor):
    save_corpus(corpus, tmp_path)
    mapped = tensors.map_tensors(next(tmp_path.glob("features-*")))

    def write(path):
        with path.open("wb") as handle:
            kept = [(n, a.dtype, a.shape, iter([a.tobytes()])) for n, a in mapped.items() if n != tensor]
            tensors.write_tensors(handle, kept)

    swap(tmp_path, "features", "safetensors", write)
    with pytest.raises(DataError, match=rf"features lack a tensor(.|\n)*expected: {tensor}(.|\n)*create it again"):
        open_corpus(tmp_path)


def test_a_dialogue_in_two_splits_is_not_written(corpus, tmp_path):
    split = corpus.utterances.split.copy()
    split[1] = 2
    leaky = replace(corpus, utterances=replace(corpus.utterances, split=split))
    with pytest.raises(DataError, match=r"a dialogue lies in two splits(.|\n)*found: a"):
        save_corpus(leaky, tmp_path)


def test_dialogues_have_their_keys_without_their_names(corpus, opened, monkeypatch):
    monkeypatch.setattr("lacuna.corpus.storage.format.coded", lambda *_: pytest.fail("the names were read"))
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(opened.only(split).dialogue_keys, corpus.only(split).dialogue_keys)
        np.testing.assert_array_equal(Layout.of(opened.only(split)).dialogue, Layout.of(corpus.only(split)).dialogue)


def test_rows_in_any_order_keep_their_names(corpus, tmp_path):
    view = corpus.take(np.array([2, 0, 3, 1]))
    read = open_corpus(save_corpus(view, tmp_path), verify=True).utterances
    assert [read.dialogue_names[int(c)].as_py() for c in read.dialogue] == list("baba")
