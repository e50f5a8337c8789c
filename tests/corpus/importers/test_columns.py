"""Right values and clear errors of the importers of columns: Arrow tables, Hugging Face datasets, MATLAB files."""

import json

import numpy as np
import pyarrow as pa
import pytest
import scipy.io

from corpus_arrangements import ARRANGEMENTS, COLUMNS, MAT_VARIABLES, MOODS, SEQUENCES, TEXT, dataset, mat, mat73, table_file
from lacuna.corpus.doctor import examine
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.importers.arrow import values_of
from lacuna.errors import ConfigError, DataError


def arrow(folder, **changes):
    columns = {k: v for k, v in {**COLUMNS, **changes}.items() if v is not None}
    return table_file(columns, "a.feather")(folder)


def test_an_arrow_table(tmp_path):
    corpus = import_corpus(arrow(tmp_path, raw_text=[f"say {i}" for i in range(6)], speaker_id=[1, 2, 1, 2, 1, 2]))
    assert [(m.name, m.dim) for m in corpus.modalities] == [("audio", 2), ("text", 3)]
    assert corpus.utterances.dialogue_names.to_pylist() == ["d1", "d2", "d10"]
    assert corpus.utterances.turn.tolist() == [0, 1] * 3
    assert (corpus.frames["audio"].of(3) == SEQUENCES[3]).all()
    assert (corpus.frames["text"].of(4) == TEXT[4]).all()
    assert corpus.target().classes == ("anger", "fear", "joy")
    assert [corpus.target().classes[c] for c in corpus.utterances.labels["emotion"]] == MOODS
    assert corpus.transcripts[2] == "say 2"
    assert corpus.utterances.speaker_names.to_pylist() == ["1", "2"]


def test_absent_rows_and_other_roles(tmp_path):
    audio = [None, *COLUMNS["audio"][1:]]
    path = arrow(
        tmp_path, audio=audio, id=None, clip=COLUMNS["id"], fold=["train"] * 4 + ["val"] + ["test"], dialogue=None, turn=None
    )
    corpus = import_corpus(path, roles="id=clip,split=fold")
    assert corpus.ids == COLUMNS["id"]
    assert corpus.absences()["audio"] == {"train": 1, "valid": 0, "test": 0}


def test_several_labels_an_utterance(tmp_path):
    moods = [["joy", "fear"], ["joy"], [], ["fear"], ["anger", "fear"], None]
    corpus = import_corpus(arrow(tmp_path, emotion=moods))
    labels = corpus.utterances.labels
    assert corpus.target("emotion").task == "soft"
    assert corpus.target("emotion").classes == ("anger", "fear", "joy")
    assert labels["emotion"][0].tolist() == [0, 0.5, 0.5]
    assert np.isnan(labels["emotion"][[2, 5]]).all()  # no label: unlabelled
    assert labels["emotion-joy"].tolist() == [1, 1, 0, 0, 0, -1]
    assert labels["emotion-anger"].tolist() == [0, 0, 0, 0, 1, -1]
    assert any("several labels an utterance" in note for note in corpus.provenance.notes)


def test_a_dataset_has_its_splits_and_class_names(tmp_path):
    path = dataset(codes=True)(tmp_path)
    assert "splits train, valid, test" in recognise(path)["hf-dataset"].what
    corpus = import_corpus(path)
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [2, 2, 2]
    assert corpus.target().classes == ("anger", "fear", "joy")


def test_a_dataset_reads_no_file_outside_of_its_folder(tmp_path):
    path = dataset()(tmp_path)
    state = path / "train" / "state.json"
    state.write_text(json.dumps({"_data_files": [{"filename": "../../../etc/data-00000-of-00001.arrow"}]}))
    assert len(import_corpus(path)) == 6  # the name alone counts


def test_numbers_of_a_matlab_file(tmp_path):
    scores = np.array([[-1.5, 0, 1, 2, 3, -3]])
    corpus = import_corpus(
        mat({**MAT_VARIABLES, "valence": scores, "fs": 16000, "names": np.array(["x", "y"], object)})(tmp_path)
    )
    assert corpus.target("valence").task == "regression"
    assert corpus.utterances.labels["valence"].tolist() == scores[0].tolist()
    assert (corpus.frames["audio"].of(1) == SEQUENCES[1]).all()
    notes = " ".join(corpus.provenance.notes)
    assert "variable 'fs'" in notes
    assert "variable 'names'" in notes


def test_codes_of_a_matlab_file_are_classes_by_option(tmp_path):
    path = mat({"audio": MAT_VARIABLES["audio"], "labels": np.array([[1, 2, 1, 3, 2, 1]])})(tmp_path)
    assert import_corpus(path).target().task == "regression"
    assert import_corpus(path, classes="labels").target().classes == ("1", "2", "3")


def test_an_empty_cell_of_a_matlab_file_is_absent(tmp_path):
    cells = MAT_VARIABLES["audio"].copy()
    cells[2, 0] = np.zeros((0, 0))
    corpus = import_corpus(mat({**MAT_VARIABLES, "audio": cells})(tmp_path))
    assert corpus.frames["audio"].count.tolist() == [2, 4, 0, 3, 2, 4]


ARROW_FAULTS = {
    "no features": ({"text_features": None, "audio": None}, r"no column holds features"),
    "ids twice": ({"id": ["a"] * 6}, r"column 'id' does not name every utterance(.|\n)*'a' again in row 1"),
    "an id is missing": ({"id": ["a", None, *"cdef"]}, r"column 'id' does not name(.|\n)*nothing in row 1"),
    "turns in words": ({"turn": ["one", "two"] * 3}, r"turn is not a whole number"),
    "half a turn": ({"turn": [0, 1.5] * 3}, r"turn is not a whole number(.|\n)*1\.5"),
    "widths differ": ({"text_features": [[1.0, 2.0]] * 5 + [[1.0]]}, r"differ in width(.|\n)*clip5"),
    "NaN": ({"text_features": [[1.0, float("nan")]] * 6}, r"6 of 6 utterances hold NaN or inf in text"),
    "absent everywhere": ({"audio": [[]] * 6}, r"absent from every utterance|no column holds features|not a table"),
    "unknown split": ({"split": ["training"] * 6}, r"unknown split(.|\n)*'training'"),
}


@pytest.mark.parametrize("case", ARROW_FAULTS)
def test_a_malformed_table_is_explained(case, tmp_path):
    changes, message = ARROW_FAULTS[case]
    with pytest.raises(DataError, match=message):
        import_corpus(arrow(tmp_path, **changes), importer="arrow")


@pytest.mark.parametrize("importer", ["arrow", "hf-dataset", "mat"])
@pytest.mark.parametrize(
    "option", [{"roles": "id=nothing"}, {"roles": "idd=audio"}, {"modalities": "nothing"}, {"targets": "nothing"}]
)
def test_options_that_name_no_column(importer, option, tmp_path):
    path = next(iter(ARRANGEMENTS[importer].values()))(tmp_path)
    with pytest.raises(ConfigError, match=r"nothing|idd"):
        import_corpus(path, importer=importer, **option)


def test_a_cut_off_table_is_named(tmp_path):
    path = arrow(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a readable Arrow table"):
        import_corpus(path, importer="arrow")
    assert not examine(path).usable


def test_a_cut_off_matlab_file_is_named(tmp_path):
    for write in (mat, mat73):
        path = write(MAT_VARIABLES)(tmp_path)
        path.write_bytes(path.read_bytes()[:700])
        with pytest.raises(DataError, match="not a readable MATLAB file"):
            import_corpus(path, importer="mat")
        assert not examine(path).usable


def test_a_matlab_file_of_one_number_is_explained(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": 3})
    with pytest.raises(DataError, match="no variable has a value for each utterance"):
        import_corpus(tmp_path / "a.mat", importer="mat")


DATASET_FAULTS = {
    "no files": (lambda path: [f.unlink() for f in (path / "train").glob("*.arrow")], "no data files|state"),
    "other columns in a split": (
        lambda path: table_file({"id": ["x"], "audio": [[1.0, 2.0]]}, "stream.arrow")(path / "test").rename(
            path / "test" / "data-00000-of-00001.arrow"
        ),
        "different columns",
    ),
    "a code without a name": (
        lambda path: (path / "test" / "dataset_info.json").write_text(
            json.dumps({"features": {"turn": {"_type": "ClassLabel", "names": ["zero"]}}})
        ),
        "'turn' holds a code without a name",
    ),
    "a damaged description": (lambda path: (path / "dataset_dict.json").write_text("{"), "cannot read"),
    "unknown split": (
        lambda path: [
            (path / "test").rename(path / "held"),
            (path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "held"]})),
        ],
        "unknown split",
    ),
}


@pytest.mark.parametrize("case", DATASET_FAULTS)
def test_a_malformed_dataset_is_explained(case, tmp_path):
    path = dataset()(tmp_path)
    change, message = DATASET_FAULTS[case]
    change(path)
    with pytest.raises(DataError, match=message):
        import_corpus(path, importer="hf-dataset")


def test_types_that_are_not_numbers_are_named_in_the_notes(tmp_path):
    path = arrow(tmp_path, sound=[{"bytes": b"x", "path": "a.wav"}] * 6)
    assert "column 'sound' (a dictionary with 2 keys) was not read" in import_corpus(path).provenance.notes
    assert pa.ipc.open_file(str(path)).schema.names[-1] == "sound"


LIST = pa.list_(pa.float32())
LISTS = {
    "vectors": (LIST, [[1.0, 2.0], None, [], [3.0, 4.0]], True),
    "sequences": (pa.large_list(LIST), [[[1.0, 2.0], [3.0, 4.0]], None, [[5.0, 6.0]], []], True),
    "fixed width": (pa.list_(pa.list_(pa.int16(), 2)), [[[1, 2]], [[3, 4], [5, 6]], None], True),
    "a null inside": (LIST, [[1.0, None], [2.0, 3.0]], False),
    "ragged": (pa.list_(LIST), [[[1.0], [2.0, 3.0]], [[4.0]]], False),
}


@pytest.mark.parametrize("case", LISTS)
@pytest.mark.parametrize("first", [0, 1])
def test_lists_of_numbers_become_arrays_without_a_python_number_each(case: str, first: int) -> None:
    """A slice of a column, in two pieces; what has no shape stays a list, which the importer explains."""
    kind, rows, regular = LISTS[case]
    piece = pa.array(rows, kind).slice(first)
    absent = pa.array([None, []], kind)  # a piece without a number, such as a split that lacks the modality
    values = values_of(pa.table({"x": pa.chunked_array([piece, absent, piece])}))["x"]
    assert all(value is None or isinstance(value, np.ndarray if regular else list) for value in values)
    assert [value.tolist() if isinstance(value, np.ndarray) else value for value in values] == [
        *rows[first:],
        None,
        [],
        *rows[first:],
    ]
