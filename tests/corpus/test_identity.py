"""What a file is from its bytes, and what to do about files that are no data."""

import bz2
import gzip
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from lacuna.corpus.doctor import examine, render
from lacuna.corpus.identity import identify
from lacuna.corpus.importers import import_corpus
from lacuna.errors import DataError

SECRET = "a sentence of a patient"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 140320768\n"
DATA = {"train": {"raw_text": [SECRET] * 100, "audio": list(range(3000))}}
NO_DATA = {
    "pointer": (POINTER, "a Git LFS pointer of a file of 140,320,768 bytes", "git lfs pull"),
    "page": (b"\xef\xbb\xbf\n<!DOCTYPE HTML><html>sign in</html>", "a web page", "download the file itself"),
    "gzip": (gzip.compress(pickle.dumps(DATA)), "a gzip archive", "gunzip"),
    "bzip2": (bz2.compress(pickle.dumps(DATA)), "a bzip2 archive", "bunzip2"),
    "xz": (lzma.compress(pickle.dumps(DATA)), "an xz archive", "xz -dc"),
    "cut": (pickle.dumps(DATA)[:-100], "a pickle that is cut off", "compare its size"),
    "cut, protocol 0": (pickle.dumps(DATA, 0)[:-100], "a pickle that is cut off", "compare its size"),
    "line ends changed": (pickle.dumps(DATA, 0).replace(b"\n", b"\r\n"), "line ends were changed", "binary mode"),
    "saved as text": (pickle.dumps(DATA).decode("utf-8", "replace").encode(), "saved as text", "binary mode"),
}


@pytest.mark.parametrize("case", NO_DATA)
def test_a_file_that_is_no_data_is_named_with_what_to_do(case, tmp_path):
    content, kind, action = NO_DATA[case]
    (tmp_path / "a.pkl").write_bytes(content)
    diagnosis = examine(tmp_path / "a.pkl")
    assert not diagnosis.usable
    assert kind in diagnosis.kind
    assert action in diagnosis.advice
    for importer in (None, "mmsa", "conversations", "table"):
        with pytest.raises(DataError) as caught:
            import_corpus(tmp_path / "a.pkl", importer=importer)
        assert kind in str(caught.value)
        assert action in str(caught.value)


def test_a_file_of_a_folder_that_is_no_data_is_named(make, tmp_path):
    folder = make.own(tmp_path / "own")
    (folder / "audio.npy").write_bytes(POINTER)
    with pytest.raises(DataError, match=r"audio\.npy is a Git LFS pointer(.|\n)*git lfs pull"):
        import_corpus(folder)


def test_archives(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(2))
    assert identify(tmp_path / "a.npz").action == ""
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("corpus.pkl", b"x")
    assert "unzip b.zip" in identify(tmp_path / "b.zip").action
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "a.npz", "a.npz")
    assert "tar -xf" in identify(tmp_path / "c.tar").action


@pytest.mark.parametrize("protocol", range(6))
def test_whole_pickles_are_pickles_in_every_protocol(protocol, tmp_path):
    for number, content in enumerate((DATA, [1, "a"], [[1]], {}, ({"a": 1}, {"b": 2}))):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(pickle.dumps(content, protocol))
        assert identify(path).kind == "a pickle", content


CONTENTS = {
    "list of texts": [SECRET] * 9,
    "texts by dialogue": [{"d": [SECRET, SECRET]}, {"d": [1, 2]}],
    "mixed": [{"d": [SECRET, 3]}, {"d": [1, 2]}],
    "a text as key": {SECRET: 1},
    "splits": {"train": {"words": [SECRET] * 2, "other": 3}, "test": [SECRET]},
    "samples": {"train": [SECRET] * 3},
    "vectors": {"language": [SECRET], "labels": [SECRET]},
    "bare": SECRET,
}


@pytest.mark.parametrize("case", CONTENTS)
def test_the_doctor_never_prints_what_a_file_says(case, tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(CONTENTS[case]))
    for importer in (None, "mmsa", "conversations", "gcnet", "vectors"):
        diagnosis = examine(tmp_path / "a.pkl", importer=importer)
        assert not diagnosis.usable
        assert SECRET not in render(diagnosis)


def test_the_doctor_says_why_the_nearest_importer_refuses(tmp_path):
    content = {"train": {"id": ["v_1"], "audio": np.ones((1, 2, 2, 2))}, "test": {"id": ["w_1"], "audio": np.ones((1, 2, 2, 2))}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    text = render(examine(tmp_path / "a.pkl"))
    assert "'audio' of split 'train' is malformed" in text
    assert "the error above is that of the nearest one, 'mmsa'" in text
