"""GCNet's label pickle with folders of .npy, made here; and the real MOSI pickle where it is at hand."""

import pickle

import numpy as np
import pytest

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.errors import ConfigError, DataError

TURNS = {"Ses01F_impro01": 4, "Ses01M_script02": 3, "Ses05F_impro03": 5}
FOLDERS = {"deberta-large-4-UTT": 6, "wav2vec": 5, "manet_UTT": 4}


def ids_of(turns=TURNS):
    return {d: [f"{d}_{t}" for t in range(n)] for d, n in turns.items()}


def iemocap():
    labels = {d: [(i + 2 * t) % 6 for t in range(n)] for i, (d, n) in enumerate(TURNS.items())}
    labels["Ses05F_impro03"][0] = 5
    speakers = {d: ["FM"[t % 2] for t in range(n)] for d, n in TURNS.items()}
    sentences = {d: [f"this is turn {t}" for t in range(n)] for d, n in TURNS.items()}
    return [ids_of(), labels, speakers, sentences, {"Ses01F_impro01", "Ses01M_script02"}, {"Ses05F_impro03"}]


def mosi():
    scores = {d: [np.float64(s) for s in (0.0, -3.0, 1.4, -0.2, 3.0)[:n]] for d, n in TURNS.items()}
    sentences = {d: np.array(["SO IT GOES"] * n) for d, n in TURNS.items()}
    names = list(TURNS)
    return [ids_of(), scores, {d: [""] * n for d, n in TURNS.items()}, sentences, {names[0]}, {names[1]}, {names[2]}]


def write(folder, content, name="labels.pkl", shelf="features", folders=FOLDERS):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(content))
    for modality, width in folders.items():
        place = folder / shelf / modality
        place.mkdir(parents=True, exist_ok=True)
        for n, utterance in enumerate(u for us in content[0].values() for u in us):
            np.save(place / f"{utterance}.npy", np.full((1, width), n + 1, np.float32))
    return folder


def test_iemocap_of_six(tmp_path):
    corpus = import_corpus(write(tmp_path / "iemocap", iemocap()))
    assert corpus.name == "iemocap"
    assert {m.name: m.dim for m in corpus.modalities} == {"deberta-large-4-utt": 6, "manet_utt": 4, "wav2vec": 5}
    assert corpus.target().classes == ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [7, 0, 5]
    assert corpus.utterances.speaker_names.to_pylist() == ["Ses01_F", "Ses01_M", "Ses05_F", "Ses05_M"]
    assert corpus.transcripts[0] == "this is turn 0"
    assert corpus.frames["wav2vec"].of(6).tolist() == [[7.0] * 5]
    assert set(corpus.provenance.files) == {"labels.pkl", *(f"{f}/" for f in FOLDERS)}


def test_mosi_of_seven(tmp_path):
    path = write(tmp_path / "mosi", mosi(), shelf=".")
    assert "3 feature folder(s)" in recognise(path)["gcnet"].what
    assert "3 feature folder(s)" in recognise(path / "labels.pkl")["gcnet"].what
    corpus = import_corpus(path / "labels.pkl", name="mosi")
    assert [(t.name, t.task) for t in corpus.targets] == [("score", "regression"), ("polarity", "classification")]
    assert corpus.target("polarity").classes == ("negative", "non-negative")
    scores, polarity = corpus.utterances.labels["score"], corpus.utterances.labels["polarity"]
    assert (polarity == (scores >= 0)).all()
    assert polarity[:3].tolist() == [1, 0, 1]
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [4, 3, 5]
    assert corpus.utterances.speaker_names.to_pylist() == ["unknown"]


def test_a_missing_file_is_an_absent_modality(tmp_path):
    path = write(tmp_path / "c", mosi())
    (path / "features/wav2vec/Ses01F_impro01_1.npy").unlink()
    np.save(path / "features/wav2vec/Ses01F_impro01_2.npy", np.zeros((0, 5), np.float32))
    np.save(path / "features/wav2vec/of-another-corpus.npy", np.zeros(5, np.float32))
    np.save(path / "features/manet_UTT/Ses01F_impro01_0.npy", np.arange(12.0).reshape(1, 3, 4))
    corpus = import_corpus(path)
    assert corpus.absences()["wav2vec"] == {"train": 2, "valid": 0, "test": 0}
    assert corpus.frames["manet_utt"].of(0).shape == (3, 4)
    note = next(n for n in corpus.provenance.notes if n.startswith("wav2vec"))
    assert "absent from 2 of 12" in note
    assert "1 of its files are named after no utterance" in note


def test_frames_in_files_of_their_own_are_those_of_the_speaker(tmp_path):
    path = write(tmp_path / "c", iemocap())
    faces = path / "features" / "faces"
    for utterance, names in (("Ses01F_impro01_0", ("F_001", "M_001", "F_000")), ("Ses01F_impro01_1", ("F_000", "M_000"))):
        (faces / utterance).mkdir(parents=True)
        for n, name in enumerate(names):
            np.save(faces / utterance / f"{name}.npy", np.full(3, n, np.float32))
    (faces / "Ses01F_impro01_2").mkdir()
    corpus = import_corpus(path, features={"vision": "features/faces", "audio": "features/wav2vec"})
    assert [m.name for m in corpus.modalities] == ["vision", "audio"]
    assert corpus.frames["vision"].of(0)[:, 0].tolist() == [2.0, 0.0]
    assert corpus.frames["vision"].of(1)[:, 0].tolist() == [1.0]
    assert corpus.absences()["vision"] == {"train": 5, "test": 5}


def test_the_pickle_alone_says_what_it_needs(tmp_path):
    path = write(tmp_path / "c", mosi(), folders={})
    assert recognise(path) == {}
    assert "without the feature folders" in recognise(path / "labels.pkl")["gcnet"].what
    with pytest.raises(DataError, match="the label pickle has no features") as caught:
        import_corpus(path / "labels.pkl")
    assert "Ses01F_impro01_0.npy" in str(caught.value)


def test_two_pickles_need_a_choice(tmp_path):
    path = write(tmp_path / "c", iemocap(), "six.pkl")
    four = iemocap()
    four[1] = {d: [c % 4 for c in codes] for d, codes in four[1].items()}
    write(path, four, "four.pkl")
    with pytest.raises(DataError, match=r"four\.pkl, six\.pkl"):
        import_corpus(path)
    assert import_corpus(path, **recognise(path)["gcnet"].options).target().classes == (
        "class_0",
        "class_1",
        "class_2",
        "class_3",
    )
    corpus = import_corpus(path, pickle="four.pkl", classes="happy,sad,neutral,angry")
    assert corpus.target().classes[3] == "angry"
    with pytest.raises(ConfigError, match="go up to 3"):
        import_corpus(path, pickle="four.pkl", classes="happy,sad")
    with pytest.raises(DataError, match=r"five\.pkl"):
        import_corpus(path, pickle="five.pkl")


def spoil_labels(content, value):
    content[1]["Ses01F_impro01"][1] = value


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop(2), "does not have the GCNet layout"),
        (lambda c: c[:] and c.__delitem__(slice(5, None)), "does not have the GCNet layout"),
        (lambda c: c[3].update(Ses01F_impro01=["one", "two"]), "disagree about dialogue 'Ses01F_impro01'"),
        (lambda c: c[4].add("elsewhere"), "lacks 1 dialogue"),
        (lambda c: c[6].add("Ses01F_impro01"), "shared between splits"),
        (lambda c: spoil_labels(c, 3.5), "out of bounds"),
        (lambda c: spoil_labels(c, "bad"), "numbers and strings"),
        (lambda c: c[0].update(Ses01F_impro01=["a", "a", "b", "c"]), "unique"),
    ],
)
def test_malformed_labels(tmp_path, change, told):
    path = write(tmp_path / "c", mosi())
    content = mosi()
    change(content)
    (path / "labels.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError) as caught:
        import_corpus(path, importer="gcnet")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("file", "array", "told"),
    [
        ("Ses01F_impro01_1", np.zeros((2, 2, 5)), r"shape \(2, 2, 5\)"),
        ("Ses01F_impro01_1", np.array(["a"]), "not a vector or a table"),
        ("Ses01F_impro01_1", np.array([{}]), "not a readable .npy"),
        ("Ses01F_impro01_1", np.zeros(9), "width"),
        ("Ses01F_impro01_1", np.full(5, np.inf), "NaN or inf"),
    ],
)
def test_malformed_features(tmp_path, file, array, told):
    path = write(tmp_path / "c", mosi())
    np.save(path / f"features/wav2vec/{file}.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=told):
        import_corpus(path)


def test_folders_that_are_not_there_or_of_another_corpus(tmp_path):
    path = write(tmp_path / "c", mosi())
    with pytest.raises(DataError, match="does not exist"):
        import_corpus(path, features={"audio": "nowhere"})
    (path / "features/other").mkdir()
    np.save(path / "features/other/elsewhere.npy", np.zeros(2))
    with pytest.raises(DataError, match="is named after an utterance") as caught:
        import_corpus(path)
    assert "elsewhere.npy" in str(caught.value)


def test_real_mosi(shared_data, tmp_path):
    path = shared_data / "cmu_mosi" / "GCNet_CMUMOSI_features_raw_2way.pkl"
    with pytest.raises(DataError, match="the label pickle has no features"):
        import_corpus(path, importer="gcnet")
    for number in range(1, 4):  # features of three utterances of one video
        np.save(tmp_path / f"03bSnISJMiM_{number}.npy", np.arange(4.0))
    corpus = import_corpus(path, name="mosi", features={"audio": str(tmp_path)})
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [1284, 229, 686]
    assert len(corpus.utterances.dialogue_names) == 93
    assert corpus.utterances.labels["score"][corpus.ids.index("03bSnISJMiM_1")] == pytest.approx(2.4)
    assert sum(corpus.absences()["audio"].values()) == 2199 - 3
