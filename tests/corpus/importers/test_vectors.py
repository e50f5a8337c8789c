import numpy as np
import pytest

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.errors import DataError


def part(n, **changes):
    r = np.random.default_rng(n)
    return {"language": r.normal(size=(n, 4)), "acoustic": r.normal(size=(n, 3)), "labels": r.normal(size=n), **changes}


def test_folder_of_splits(make, tmp_path):
    for split, n in (("train", 5), ("val", 2), ("test", 3)):
        make.dump(tmp_path / f"{split}_data.pkl", part(n))
    make.dump(tmp_path / "metadata.pkl", {"n": 10})
    corpus = import_corpus(tmp_path, name="mine")
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [5, 2, 3]
    assert {m.name: m.dim for m in corpus.modalities} == {"text": 4, "audio": 3}
    assert corpus.target().task == "regression"


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (np.array([0, 2, 1]), "classification", ("class-0", "class-1", "class-2")),
        (np.array(["sad", "glad", "sad"]), "classification", ("glad", "sad")),
        (np.array([[0.5, 0.5], [1, 0], [0, 1]]), "soft", ("class-0", "class-1")),
        (np.array([[0.5], [1], [0]]), "regression", ()),
    ],
)
def test_label_kinds(tmp_path, labels, task, classes):
    np.savez(tmp_path / "vectors.npz", **part(3, labels=labels))
    target = import_corpus(tmp_path / "vectors.npz").target()
    assert (target.task, target.classes) == (task, classes)


def test_zero_rows(tmp_path):
    acoustic = np.ones((3, 2))
    acoustic[1] = 0
    np.savez(tmp_path / "train_data.npz", **part(3, acoustic=acoustic))
    assert import_corpus(tmp_path / "train_data.npz").absences()["audio"] == {"train": 0}
    assert import_corpus(tmp_path / "train_data.npz", zeros="absent").absences()["audio"] == {"train": 1}


def test_real_is_refused_by_default(shared_data):
    folder = shared_data / "mosei_video"
    assert list(recognise(folder)) == ["vectors"]
    with pytest.raises(DataError, match=r"653 of 922 utterances hold NaN or inf in audio(.|\n)*utterance 'valid-0'(.|\n)*-inf"):
        import_corpus(folder)
    mended = import_corpus(folder, nonfinite="absent")
    assert mended.absences()["audio"] == {"valid": 195, "test": 458}
    assert "653 of 922" in mended.provenance.notes[-1]
    assert len(import_corpus(folder, nonfinite="drop")) == 922 - 653
    assert np.isfinite(import_corpus(folder, nonfinite="zero").frames["audio"].values).all()
    with pytest.raises(DataError, match="no finite number in the training split"):  # else the test would leak into the mean
        import_corpus(folder, nonfinite="mean")
