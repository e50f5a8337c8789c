"""One incidental property of a file is changed at a time: the same corpus, or an error that names the property."""

import codecs
import pickle

import numpy as np
import pandas as pd
import pytest

from corpus_arrangements import AUDIO, GCNET_CONTENT, TEXT, gcnet, meld, mosi, npz
from lacuna.corpus.doctor import examine
from lacuna.corpus.importers import import_corpus
from lacuna.errors import DataError


def column(index, *values):
    def change(rows):
        for row, value in zip(rows[1:], values, strict=True):
            row[index] = value

    return change


def rewritten(change):
    """The folder of a table whose CSV is changed as text."""

    def write(make, folder):
        path = make.own(folder / "own")
        file = path / "utterances.csv"
        file.write_bytes(change(file.read_bytes()))
        return path

    return write


def renamed(name):
    def write(make, folder):
        path = make.own(folder / "own")
        (path / "utterances.csv").rename(path / name)
        return path

    return write


def array(values):
    def write(make, folder):
        path = make.own(folder / "own")
        np.save(path / "audio.npy", values)
        return path

    return write


def indexed(make, folder):
    path = make.own(folder / "own")
    pd.read_csv(path / "utterances.csv", dtype=str).to_csv(path / "utterances.csv")
    return path


def rows_of(change):
    return lambda make, folder: make.own(folder / "own", change)


VALUES = np.array([[1, 2], [3, 4], [np.nan, np.nan], [5, 6]])
SAME_TABLE = {
    "capitals in split names": rows_of(column(4, " Train", "TRAIN", "train ", "Test")),
    "turns with a decimal point": rows_of(column(2, "1.0", "10.0", "2.0", "0.0")),
    "capitals in the header": rows_of(
        lambda rows: rows.__setitem__(0, [c.capitalize() if i < 6 else c for i, c in enumerate(rows[0])])
    ),
    "ID": rows_of(lambda rows: rows[0].__setitem__(0, "ID")),
    "spaces around ids": rows_of(column(0, "001 ", " 002", "003", "004")),
    "NaN for an empty label": rows_of(column(6, "joy", "anger", "nan", "joy")),
    "N/A for an empty label": rows_of(column(6, "joy", "anger", "N/A", "joy")),
    "line ends of old Macs": rewritten(lambda text: text.replace(b"\r\n", b"\r")),
    "line ends of Unix": rewritten(lambda text: text.replace(b"\r\n", b"\n")),
    "a byte order mark": rewritten(lambda text: codecs.BOM_UTF8 + text),
    "empty rows below the table": rewritten(lambda text: text + b"\r\n,,,,,,,\r\n , ,,,,,,\r\n"),
    "the row numbers of pandas": indexed,
    "Utterances.CSV": renamed("Utterances.CSV"),
    "utterances.tsv with commas": renamed("utterances.tsv"),
    "half precision": array(VALUES.astype(np.float16)),
    "columns in Fortran order": array(np.asfortranarray(VALUES)),
    "big-endian numbers": array(VALUES.astype(">f4")),
    "frames of one": array(VALUES[:, None, :]),
}


@pytest.mark.parametrize("variant", SAME_TABLE)
def test_a_variant_of_a_table_is_the_same_corpus(variant, make, tmp_path):
    plain = import_corpus(make.own(tmp_path / "plain"), name="x")
    corpus = import_corpus(SAME_TABLE[variant](make, tmp_path), name="x")
    assert corpus.ids == plain.ids
    assert [(t.name, t.task, t.classes) for t in corpus.targets] == [(t.name, t.task, t.classes) for t in plain.targets]
    for name in plain.utterances.labels:
        assert np.array_equal(corpus.utterances.labels[name], plain.utterances.labels[name], equal_nan=True)
    assert (corpus.utterances.split == plain.utterances.split).all()
    for m in plain.frames:
        assert (corpus.frames[m].count == plain.frames[m].count).all()
        assert np.array_equal(corpus.frames[m].values, plain.frames[m].values)


REFUSED_TABLES = {
    "unknown split": (rows_of(column(4, "train", "train", "train", "testing")), "unknown split(.|\n)*'testing'"),
    "a turn is empty": (rows_of(column(2, "1", "", "2", "0")), r"turn is not a whole number(.|\n)*'002'"),
    "decimal commas": (rows_of(column(7, "1,5", "-1", "", "0")), r"'score' have a comma(.|\n)*1,5"),
    "capitals in labels": (
        rows_of(column(6, "Joy", "joy", "", "anger")),
        "differ in capitals or spaces only(.|\n)*'Joy' and 'joy'",
    ),
    "spaces in labels": (rows_of(column(6, "joy", "joy ", "", "anger")), "differ in capitals or spaces only"),
    "an infinite score": (rows_of(column(7, "inf", "-1", "", "0")), r"out of bounds(.|\n)*inf"),
    "numbers for ids": (rows_of(column(0, "1", "2", "3", "4")), r"2 keys of no utterance(.|\n)*'001'"),
    "UTF-16": (rewritten(lambda text: text.decode().encode("utf-16")), "as UTF-8"),
    "objects": (array(np.array([[1, 2], [3, 4], [None, None], [5, 6]], object)), "objects of Python"),
    "complex numbers": (array(VALUES.astype(complex)), "complex128"),
    "transposed": (array(VALUES.T), r"shape \(4, width\)(.|\n)*\(2, 4\)"),
}


@pytest.mark.parametrize("variant", REFUSED_TABLES)
def test_a_variant_of_a_table_is_refused_with_the_reason(variant, make, tmp_path):
    write, message = REFUSED_TABLES[variant]
    with pytest.raises(DataError, match=message):
        import_corpus(write(make, tmp_path))


def test_files_that_a_table_does_not_read_are_named(make, tmp_path):
    path = make.own(tmp_path / "own")
    (path / "audio.pt").write_bytes(b"torch")
    assert "files not read: audio.pt" in import_corpus(path).provenance.notes


@pytest.mark.parametrize("columns", [("anger", "joy"), ("moods",)])
def test_several_labels_in_a_table(columns, make, tmp_path):
    path = make.own(tmp_path / "own")
    table = pd.read_csv(path / "utterances.csv", dtype=str)
    table = table.assign(anger=["1", "0", "", "1"], joy=["1", "1", "", "0"], moods=["anger|joy", "Joy", "", "anger"])
    table.drop(columns=["emotion", "score"]).to_csv(path / "utterances.csv", index=False)
    corpus = import_corpus(path, multi=columns, targets=())
    name = "labels" if len(columns) > 1 else "moods"
    order = [corpus.ids.index(i) for i in ("001", "002", "004", "003")]
    shares = corpus.utterances.labels[name][order]
    assert shares[:3].tolist() == [[0.5, 0.5], [0, 1], [1, 0]]
    assert np.isnan(shares[3]).all()
    assert corpus.utterances.labels[f"{name}-joy"][order].tolist() == [1, 1, 0, -1]


def test_counts_are_no_labels(make, tmp_path):
    path = make.own(tmp_path / "own")
    table = pd.read_csv(path / "utterances.csv", dtype=str).assign(anger=["1", "0", "2", "1"], joy=["1", "1", "0", "0"])
    table.to_csv(path / "utterances.csv", index=False)
    with pytest.raises(DataError, match=r"line 4 is not yes or no(.|\n)*`soft`"):
        import_corpus(path, multi=("anger", "joy"))


def part_by_part(change):
    def write(make, folder):
        content = make.mmsa()
        for split in content:
            content[split] = change(content[split]) or content[split]
        return make.dump(folder / "m.pkl", content)

    return write


SAME_MMSA = {
    "lengths as floats": part_by_part(lambda p: p.update(audio_lengths=[4.0, 6.0])),
    "lengths in a column": part_by_part(lambda p: p.update(audio_lengths=np.array([[4], [6]]))),
    "keys of bytes": part_by_part(lambda p: {k.encode(): v for k, v in p.items()}),
    "tokens last": part_by_part(lambda p: p.update(text_bert=p["text_bert"].transpose(0, 2, 1))),
    "a tuple of ids": part_by_part(lambda p: p.update(id=tuple(p["id"]))),
    "capitals in split names": lambda make, folder: make.dump(folder / "m.pkl", {s.upper(): v for s, v in make.mmsa().items()}),
    "splits of bytes": lambda make, folder: make.dump(folder / "m.pkl", {s.encode(): v for s, v in make.mmsa().items()}),
    "scores as words": part_by_part(lambda p: p.update(regression_labels=np.array(["-1.5", "3"]))),
}


@pytest.mark.parametrize("variant", SAME_MMSA)
def test_a_variant_of_an_mmsa_pickle_is_the_same_corpus(variant, make, tmp_path):
    plain = import_corpus(make.dump(tmp_path / "plain.pkl", make.mmsa()), name="x")
    corpus = import_corpus(SAME_MMSA[variant](make, tmp_path), name="x", importer="mmsa")
    assert corpus.ids == plain.ids
    for name in plain.utterances.labels:
        assert np.array_equal(corpus.utterances.labels[name], plain.utterances.labels[name])
    for m in plain.frames:
        assert np.array_equal(corpus.frames[m].values, plain.frames[m].values)


def test_one_vector_an_utterance_in_an_mmsa_pickle(make, tmp_path):
    def vectors(part):
        return {k: np.ones((2, 5)) if k == "audio" else v for k, v in part.items() if k != "audio_lengths"}

    path = part_by_part(vectors)(make, tmp_path)
    assert import_corpus(path).frames["audio"].count.tolist() == [1] * 6


@pytest.mark.parametrize(
    ("labels", "options", "task"),
    [
        ([0.0, 1, 2, 0, 1, 2], {}, "classification"),
        ([0, 1, 2, 0, 1, 2], {}, "classification"),
        ([0.0, 1, 2, 0, 1, 2], {"scale": (0, 3)}, "regression"),
        ([0.0, 1, 2, 0, 1, 2.5], {}, "regression"),
        ([-1, 1, 2, 0, 1, 2], {}, "regression"),
    ],
)
def test_the_type_of_numbers_does_not_decide_what_vectors_labels_mean(labels, options, task, tmp_path):
    path = npz({"Language": TEXT, "ACOUSTIC": AUDIO, "Labels": np.array(labels)})(tmp_path)
    corpus = import_corpus(path, **options)
    assert corpus.target().task == task
    assert any(note.startswith("labels read as") for note in corpus.provenance.notes)


def test_one_modality_of_vectors(tmp_path):
    assert [m.name for m in import_corpus(npz({"acoustic": AUDIO, "labels": np.arange(6)})(tmp_path)).modalities] == ["audio"]


def mfn(folder, **changes):
    arrays = {
        f"{part}_{split}": np.linspace(1, 5, n) if part == "y" else np.ones((n, 4, 2))
        for split, n in {"train": 6, "valid": 3, "test": 4}.items()
        for part in ("audio", "video", "y")
    }
    np.savez(folder / "m.npz", **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return folder / "m.npz"


def test_two_arrays_for_one_split_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"two arrays for one split(.|\n)*audio_dev, audio_valid"):
        import_corpus(mfn(tmp_path, audio_dev=np.zeros((3, 4, 2))))


def test_arrays_of_a_split_without_labels_are_named(tmp_path):
    notes = import_corpus(mfn(tmp_path, y_test=None)).provenance.notes
    assert "arrays not read: audio_test, video_test" in notes


@pytest.mark.parametrize(("woman", "man"), [("Female", "Male"), ("f", "m"), ("F", "M")])
def test_every_spelling_of_a_sex_is_a_person_of_its_session(woman, man, tmp_path):
    speakers = {d: [woman if s == "F" else man for s in row] for d, row in GCNET_CONTENT[2].items()}
    corpus = import_corpus(gcnet([*GCNET_CONTENT[:2], speakers, *GCNET_CONTENT[3:]])(tmp_path))
    assert set(corpus.utterances.speaker_names.to_pylist()) == {"Ses01_F", "Ses01_M", "Ses02_F", "Ses02_M"}
    assert corpus.target().classes[0] == "happy"


def test_a_folder_of_mosi_that_lacks_a_file_is_explained(tmp_path):
    path = mosi()(tmp_path)
    (path / "video_test0.csv").unlink()
    diagnosis = examine(path)
    assert "no video_test0.csv" in diagnosis.errors[0]


def test_meld_in_another_encoding_is_explained(tmp_path):
    path = meld()(tmp_path)
    file = path / "dev_sent_emo.csv"
    file.write_bytes(file.read_bytes().replace(b"Hello 4", b"It\x92s"))
    diagnosis = examine(path)
    assert diagnosis.importer == "meld-csv"
    assert "UTF-8" in diagnosis.errors[0]


def test_a_pickle_of_protocol_0_with_bytes_and_tuples(make, tmp_path):
    content = {s: {k: tuple(v) if isinstance(v, list) else v for k, v in p.items()} for s, p in make.mmsa().items()}
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(content, protocol=0))
    assert len(import_corpus(tmp_path / "m.pkl")) == 6
