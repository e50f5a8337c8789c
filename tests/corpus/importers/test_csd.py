"""CMU-MultimodalSDK sequences made here: right values, words, and clear errors."""

import h5py
import numpy as np
import pytest

from corpus_arrangements import csd
from lacuna.corpus.doctor import examine
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.errors import ConfigError, DataError


def add(folder, name, data):
    with h5py.File(folder / f"{name}.csd", "w") as file:
        for key, (features, intervals) in data.items():
            file[f"{name}/data/{key}/features"], file[f"{name}/data/{key}/intervals"] = features, np.asarray(intervals, float)


def test_frames_belong_to_the_interval_that_holds_their_middle(tmp_path):
    path = csd()(tmp_path)
    assert "COVAREP, glove_vectors, Opinion Segment Labels" in recognise(path)["csd"].what
    corpus = import_corpus(path, name="mosi")
    assert corpus.ids == ["v2[0]", "v2[1]", "v10[0]", "v10[1]"]
    assert corpus.utterances.dialogue_names.to_pylist() == ["v2", "v10"]
    assert {m.name: m.dim for m in corpus.modalities} == {"audio": 3, "text": 2}
    assert corpus.frames["audio"].of(1).tolist() == (np.arange(24).reshape(8, 3)[4:] + 1).tolist()
    assert corpus.utterances.labels["sentiment"].tolist() == [-1, 0.5, -1, 2.5]
    assert corpus.utterances.labels["polarity"].tolist() == [0, 2, 0, 2]
    assert (corpus.utterances.split == -1).all()


def test_words_are_transcripts_and_pauses_are_left_out(tmp_path):
    path = csd()(tmp_path)
    words = np.array([[b"oh"], [b"sp"], [b"well"], [b"yes"]])
    add(path, "words", {"v2": (words, [[0, 0.3], [0.3, 0.5], [0.5, 0.9], [1.2, 1.4]])})
    assert import_corpus(path).transcripts == ["oh well", "yes", None, None]


def test_an_utterance_without_frames_lacks_the_modality(tmp_path):
    path = csd()(tmp_path)
    add(path, "OpenFace", {"v2": (np.ones((1, 4)), [[0, 1]])})
    corpus = import_corpus(path)
    assert corpus.frames["vision"].count.tolist() == [1, 0, 0, 0]
    assert any("vision: 'OpenFace', absent from 3 of 4" in note for note in corpus.provenance.notes)


def test_the_seven_columns_of_mosei(tmp_path):
    path = csd()(tmp_path)
    (path / "2.csd").unlink()
    add(path, "All Labels", {"v2": (np.array([[1, 0, 3, 0, 0, 0, 0.5]]), [[0, 1]])})
    corpus = import_corpus(path)
    assert [t.name for t in corpus.targets] == [
        "polarity", "sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear",
    ]  # fmt: skip
    assert corpus.utterances.labels["sad"].tolist() == [3]


FAULTS = {
    "no labels": (lambda p: (p / "2.csd").unlink(), {}, DataError, "unclear which sequence holds the labels"),
    "two sequences of labels": (lambda p: add(p, "More Labels", {"v2": (np.ones((1, 1)), [[0, 1]])}), {}, DataError, "unclear"),
    "intervals too short": (lambda p: add(p, "FACET", {"v2": (np.ones((2, 1)), [[0, 1]])}), {}, DataError, "do not fit together"),
    "cut off": (lambda p: (p / "1.csd").write_bytes((p / "1.csd").read_bytes()[:900]), {}, DataError, "not a computational"),
    "score out of range": (lambda p: None, {"scale": (-1, 1)}, DataError, "1 score|out of bounds"),
    "columns without names": (lambda p: None, {"columns": "a,b"}, DataError, "columns of the labels are not named"),
    "unknown modality": (lambda p: None, {"modalities": "COVREP"}, ConfigError, "'COVREP'"),
    "labels of words": (
        lambda p: [(p / "2.csd").unlink(), add(p, "Labels", {"v2": (np.array([[b"x"]]), [[0, 1]])})],
        {},
        DataError,
        "are no numbers",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_explained(case, tmp_path):
    path = csd()(tmp_path)
    change, options, kind, message = FAULTS[case]
    change(path)
    with pytest.raises(kind, match=message):
        import_corpus(path, importer="csd", **options)


def test_doctor_names_the_sequences(tmp_path):
    diagnosis = examine(csd()(tmp_path))
    assert diagnosis.importer == "csd"
    assert diagnosis.usable
