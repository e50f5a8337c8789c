"""Features of single videos: one utterance a file, without labels; readable by a model of the same features."""

import pickle

import numpy as np
import pytest

from corpus_arrangements import FET_CONTENT, dumped
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.errors import DataError


def test_one_video(tmp_path):
    path = dumped(FET_CONTENT, name="test.pkl")(tmp_path)
    assert list(recognise(path)) == ["mmsa-fet"]
    corpus = import_corpus(path)
    assert corpus.ids == ["test"]
    assert {m.name: m.dim for m in corpus.modalities} == {"text": 3, "audio": 2, "vision": 2}
    assert corpus.frames["audio"].of(0).tolist() == FET_CONTENT["audio"].tolist()
    assert corpus.frames["text"].tokens.tolist() == [101, 5, 7, 102]
    assert not corpus.targets
    assert "keys not read: config" in corpus.provenance.notes


def test_a_folder_of_videos(tmp_path):
    for i in (1, 2, 10):
        dumped({**FET_CONTENT, "audio": np.ones((i, 2))}, name=f"v{i}.pkl")(tmp_path)
    corpus = import_corpus(tmp_path)
    assert corpus.ids == ["v1", "v2", "v10"]
    assert corpus.frames["audio"].count.tolist() == [1, 2, 10]


def test_a_vector_is_one_frame(tmp_path):
    content = {"audio": np.ones(5), "vision": np.ones(3)}
    corpus = import_corpus(dumped(content, name="v.pkl")(tmp_path))
    assert corpus.frames["audio"].count.tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"audio": "none"}, "malformed|numbers"),
        ({"pitch": np.ones(3)}, "holds no features"),
        ([1, 2], "holds no features"),
        ({"audio": np.full((2, 2), np.nan)}, "NaN or inf"),
    ],
)
def test_other_content_is_explained(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        import_corpus(dumped(content)(tmp_path), importer="mmsa-fet")


def test_files_with_other_keys_are_named(tmp_path):
    dumped({"audio": np.ones((2, 2)), "vision": np.ones((2, 2))}, name="a.pkl")(tmp_path)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"audio": np.ones((2, 2))}))
    with pytest.raises(DataError, match=r"b\.pkl has other keys"):
        import_corpus(tmp_path, importer="mmsa-fet")
