import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from lacuna.__main__ import main
from lacuna.corpus import save_corpus
from lacuna.corpus.doctor import examine, render
from lacuna.corpus.importers import importer_class


class Evil:
    def __reduce__(self):
        return os.system, ("touch sentinel",)


GARBAGE = {
    "empty": (b"", "an empty file"),
    "text": (b"hello\n" * 10, "a text file"),
    "binary": (bytes(range(256)) * 20, "a binary file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "an HDF5 file"),
    "cut zip": (b"PK\x03\x04" + b"\0" * 40, "a zip archive"),
    "npy": (b"\x93NUMPY\x01\x00", "a numpy array"),
    "cut pickle": (pickle.dumps({"train": list(range(1000))})[:500], "a binary file"),
    "hostile pickle": (pickle.dumps(Evil()), "a pickle"),
    "hostile mmsa": (pickle.dumps({"train": {"text_bert": Evil(), "audio": 1, "id": []}}), "a pickle"),
    "other pickle": (pickle.dumps({"a": 1}), "a pickle"),
    "odd json": (b'{"a": 1}', "a text file"),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_gets_a_verdict(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, told = GARBAGE[kind]
    (tmp_path / "thing").write_bytes(content)
    for path in (tmp_path / "thing", tmp_path):
        diagnosis = examine(path)
        assert not diagnosis.usable
        assert diagnosis.errors
        assert diagnosis.advice
        assert render(diagnosis)
    assert examine(tmp_path / "thing").kind.startswith(told)
    assert not (tmp_path / "sentinel").exists()


def test_hostile_pickle_is_named(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    assert "it asks for 'posix.system'" in render(examine(tmp_path / "evil.pkl")).replace("nt.", "posix.")


def test_what_cannot_be_looked_at(tmp_path, monkeypatch):
    assert examine(tmp_path / "nope").kind == "nothing"
    assert examine("\0").errors
    os.mkfifo(tmp_path / "pipe")
    assert examine(tmp_path / "pipe").kind == "no regular file"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not examine(tmp_path / "loop").usable
    (tmp_path / "secret").write_bytes(b"x")

    def refuse(*_):
        raise PermissionError("permission denied")

    monkeypatch.setattr("lacuna.corpus.doctor.open", refuse, raising=False)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    diagnosis = examine(tmp_path / "secret")
    assert "permission denied" in diagnosis.errors[0]


def test_a_huge_file_is_not_read_unasked(make, tmp_path, monkeypatch):
    path = make.dump(tmp_path / "a.pkl", make.mmsa())
    monkeypatch.setattr("lacuna.corpus.doctor._LIMIT", 100)
    monkeypatch.setattr(importer_class("mmsa"), "load", None)
    diagnosis = examine(path)
    assert (diagnosis.usable, diagnosis.importer) == (False, "mmsa")
    assert "--importer mmsa" in diagnosis.advice


def test_usable_data_get_facts_and_a_snippet(make, tmp_path):
    folder = make.mosi(tmp_path / "mosi")
    diagnosis = examine(folder)
    text = render(diagnosis)
    assert diagnosis.usable
    for told in (
        "importer: mosi-csv",
        "4 in 2 dialogues",
        "train 3 in 1 dialogues, test 1",
        "transcripts: 4 of 4",
        "modality audio: 2 wide",
        "train: negative 1, non-negative 2; test: negative 1, non-negative 0",
        "warning: there is no valid split",
        f"path: {folder}\n    importer: mosi-csv\n    split: carve",
    ):
        assert told in text


def test_nonfinite_is_refused_with_the_way_out(tmp_path):
    vectors = {"language": np.ones((3, 2)), "acoustic": np.array([[1.0], [-np.inf], [2.0]]), "labels": np.ones(3)}
    np.savez(tmp_path / "train_data.npz", **vectors)
    diagnosis = examine(tmp_path / "train_data.npz")
    assert not diagnosis.usable
    assert "1 of 3 utterances hold NaN or inf in audio" in diagnosis.errors[0]
    assert "nonfinite: absent" in diagnosis.advice
    assert examine(tmp_path / "train_data.npz", nonfinite="absent").usable


def test_our_own_corpus_is_verified(corpus, tmp_path):
    save_corpus(corpus, tmp_path)
    assert examine(tmp_path).usable
    assert "match their SHA-256" in examine(tmp_path).kind
    path = next(tmp_path.glob("features-*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    diagnosis = examine(tmp_path)
    assert (diagnosis.usable, diagnosis.kind) == (False, "a damaged Lacuna corpus")


def test_command(make, tmp_path):
    run = CliRunner().invoke
    folder = str(make.mosi(tmp_path / "mosi"))
    assert run(main, ["doctor", folder]).exit_code == 0
    refused = run(main, ["doctor", folder, "--option", "colour=red"])
    assert refused.exit_code == 1
    assert "no option 'colour'" in refused.output
    assert run(main, ["doctor", folder, "--importer", "magic"]).exit_code == 1
    assert run(main, ["doctor", folder, "--option", "x"]).exit_code == 2
    assert run(main, ["doctor", folder, "--importer", "mosi-csv", "--option", "nonfinite=absent"]).exit_code == 0
    assert run(main, ["doctor", str(tmp_path / "nope")]).exit_code == 1


def test_help_imports_nothing_heavy():
    code = "import sys, lacuna.__main__; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'kedro', 'pyarrow', 'rich')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
