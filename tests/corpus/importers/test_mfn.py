import sys

import numpy as np
import pytest

from lacuna.corpus.importers import base, import_corpus
from lacuna.errors import ConfigError, DataError


def arrays():
    r = np.random.default_rng(0)
    result = {}
    for split, n in (("train", 4), ("valid", 2), ("test", 3)):
        audio, video = r.normal(size=(n, 6, 3)), r.normal(size=(n, 6, 2))
        audio[:, :2] = video[:, :2] = 0  # padding in front
        audio[0] = 0  # absent
        video[1, 3] = 0  # no face
        video[1, 5] = 0
        result |= {f"films_audio_{split}": audio, f"films_video_{split}": video, f"films_y_{split}": 1 + np.arange(n) / 2 * 2}
        if split != "train":
            result[f"films_text_{split}"] = r.normal(size=(n, 6, 5))
    return result


def test_absence_padding_and_holes(tmp_path):
    np.savez(tmp_path / "films.npz", **arrays())
    corpus = import_corpus(tmp_path / "films.npz")
    assert corpus.name == "films"
    assert [m.name for m in corpus.modalities] == ["audio", "vision"]
    assert "'text' was left out" in corpus.provenance.notes[0]
    assert corpus.absences() == {"audio": {"train": 1, "valid": 1, "test": 1}, "vision": {"train": 0, "valid": 0, "test": 0}}
    vision = corpus.frames["vision"]
    assert vision.count.tolist() == [4] * 9
    assert vision.observed[vision.start[1] : vision.start[1] + 4].tolist() == [True, False, True, False]
    assert corpus.utterances.labels["polarity"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    lower = import_corpus(tmp_path / "films.npz", threshold=2.0)
    assert lower.utterances.labels["polarity"].tolist() == [0, 1, 1, 1, 0, 1, 0, 1, 1]


def test_text_on_demand_is_absent_in_training(tmp_path):
    np.savez(tmp_path / "films.npz", **arrays())
    corpus = import_corpus(tmp_path / "films.npz", modalities=["text", "audio"])
    assert corpus.absences()["text"] == {"train": 4, "valid": 0, "test": 0}
    with pytest.raises(ConfigError, match="no modality 'smell'; it has: text, audio, vision"):
        import_corpus(tmp_path / "films.npz", modalities=["smell"])


def test_several_sets_must_be_chosen_from(tmp_path):
    content = arrays()
    content |= {k.replace("films", "ads"): v for k, v in content.items()}
    content["ads_y_train"], content["ads_y_valid"], content["ads_y_test"] = np.eye(3)[[0, 1, 2, 0]], np.eye(3)[:2], np.eye(3)
    np.savez(tmp_path / "two.npz", **content)
    with pytest.raises(ConfigError, match="several sets; give `set` as one of: ads, films"):
        import_corpus(tmp_path / "two.npz")
    with pytest.raises(ConfigError, match="set 'tv' does not exist"):
        import_corpus(tmp_path / "two.npz", set="tv")
    corpus = import_corpus(tmp_path / "two.npz", set="ads")
    assert corpus.name == "two-ads"
    assert corpus.target().classes == ("class-0", "class-1", "class-2")
    assert import_corpus(tmp_path / "two.npz", set="ads", name="mine").name == "mine"


def test_h5_gives_the_same(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    np.savez(tmp_path / "films.npz", **arrays())
    with h5py.File(tmp_path / "films.h5", "w") as file:
        for key, value in arrays().items():
            file[key] = value
    one, two = import_corpus(tmp_path / "films.npz"), import_corpus(tmp_path / "films.h5")
    assert np.array_equal(one.frames["audio"].values, two.frames["audio"].values)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[h5\]'"):
        base.import_corpus(tmp_path / "films.h5", importer="mfn")


@pytest.mark.parametrize(
    ("name", "absences", "target"),
    [
        ("mmmo", {"audio": (0, 0, 0), "vision": (0, 0, 0)}, "polarity"),
        ("youtube", {"audio": (125, 29, 37), "vision": (129, 30, 40)}, "sentiment"),
    ],
)
def test_real(shared_data, name, absences, target):
    corpus = import_corpus(shared_data / "mfn_sequences" / "sequences.npz", set=name)
    assert {m: tuple(a.values()) for m, a in corpus.absences().items()} == absences
    assert corpus.target().name == target
    sizes = [len(corpus.only(s)) for s in ("train", "valid", "test")]
    assert sizes == ([220, 40, 80] if name == "mmmo" else [173, 36, 60])


def test_signed_scores_are_cut_at_zero(tmp_path):
    content = arrays()
    content |= {k: np.linspace(-3, 3, len(v)) for k, v in content.items() if "_y_" in k}
    np.savez(tmp_path / "mosi.npz", **content)
    corpus = import_corpus(tmp_path / "mosi.npz")
    assert corpus.utterances.labels["polarity"].tolist() == [0, 0, 1, 1, 0, 1, 0, 1, 1]
    assert (corpus.target("score").low, corpus.target("score").high) == (-3, 3)
    content["films_y_train"] *= 3
    np.savez(tmp_path / "mosi.npz", **content)
    with pytest.raises(DataError, match=r"out of bounds(.|\n)*scale=-9,9"):
        import_corpus(tmp_path / "mosi.npz")
    assert import_corpus(tmp_path / "mosi.npz", scale="-9,9").target("score").high == 9


def test_a_folder_of_one_array_a_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    content = {k.removeprefix("films_"): v for k, v in arrays().items()}
    np.savez(tmp_path / "films.npz", **content)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, (key, value) in enumerate(content.items()):
        with h5py.File(folder / f"{key}.h5", "w") as file:
            file[f"group/d{number}"] = value
    one, two = import_corpus(tmp_path / "films.npz"), import_corpus(folder)
    assert one.ids == two.ids
    assert np.array_equal(one.frames["vision"].values, two.frames["vision"].values)
    assert len(two.provenance.files) == len(content)
    with h5py.File(folder / "audio_train.h5", "a") as file:
        file["more"] = np.ones(3)
    with pytest.raises(DataError, match=r"audio_train\.h5 does not hold one array"):
        import_corpus(folder, importer="mfn")


def test_two_columns_are_one_hot(tmp_path):
    content = arrays()
    content |= {k: np.eye(2)[np.arange(len(v)) % 2] for k, v in content.items() if "_y_" in k}
    np.savez(tmp_path / "films.npz", **content)
    corpus = import_corpus(tmp_path / "films.npz", classes="calm,angry")
    assert corpus.target().classes == ("calm", "angry")
    assert corpus.utterances.labels["sentiment"][:4].tolist() == [0, 1, 0, 1]
