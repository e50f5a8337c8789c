"""Malformed input: every case has a clear error of ours, and nothing passes silently."""

import json

import numpy as np
import pytest

from lacuna.corpus import Channel, Target, check, open_corpus, save_corpus
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.storage.tensors import map_tensors
from lacuna.errors import DataError

ASSEMBLED = {
    "no utterance": ({"ids": []}, r"there is no utterance"),
    "no modality": ({"channels": {}}, r"there is no modality"),
    "too few dialogues": ({"dialogues": ["a"]}, r"dialogues do not match the ids one by one\n.*\n  expected: 8\n  found: 1"),
    "too many texts": ({"texts": ["x"] * 9}, r"texts do not match the ids(.|\n)*found: 9"),
    "no dialogue": ({"dialogues": [*"aabbcc", None, "d"]}, r"row 6 has no dialogue"),
    "id is NaN": ({"ids": [float("nan"), *"bcdefgh"]}, r"row 0 has no id"),
    "ids twice": ({"ids": [*"abcdefg", "a"]}, r"ids must be unique(.|\n)*utterance 'a'(.|\n)*2 times"),
    "empty id": ({"ids": ["", *"bcdefgh"]}, r"unique and not empty"),
    "half a turn": ({"turns": [0, 1.5, 0, 1, 0, 1, 0, 1]}, r"turn is not a whole number(.|\n)*'u1'(.|\n)*1\.5"),
    "a turn in words": ({"turns": [0, "one", 0, 1, 0, 1, 0, 1]}, r"turn is not a whole number(.|\n)*'one'"),
    "turns twice": ({"turns": [1, 1, 0, 1, 0, 1, 0, 1]}, r"turns of a dialogue must ascend(.|\n)*above 1 in dialogue 'a'"),
    "negative turn": ({"turns": [-1, 1, 0, 1, 0, 1, 0, 1]}, r"a turn is negative(.|\n)*'u0'"),
    "unknown split": ({"splits": ["train"] * 7 + ["dev"]}, r"unknown split(.|\n)*train, valid, test(.|\n)*'dev'"),
    "shared dialogue": ({"splits": ["train"] * 7 + ["test"]}, r"1 dialogue\(s\) are shared between splits; first: 'd'(.|\n)*u7"),
    "bad name": ({"name": "../up"}, r"corpus name '\.\./up' cannot be used"),
    "bad modality": ({"channels": {"A b": Channel(np.ones((8, 2)))}}, r"modality name 'A b' cannot be used"),
    "texts of numbers": ({"texts": [1] * 8}, r"transcripts are not texts"),
    "frames of words": ({"channels": {"m": Channel([["a"]] * 8)}}, r"not a table of numbers(.|\n)*modality 'm'"),
    "frames of 3 axes": ({"channels": {"m": Channel(np.ones((8, 2, 2, 2)))}}, r"not a table of numbers(.|\n)*\(2, 2, 2\)"),
    "frames of no width": ({"channels": {"m": Channel(np.ones((8, 2, 0)))}}, r"not a table of numbers"),
    "width changes": ({"channels": {"m": Channel([np.ones(2)] * 7 + [np.ones(3)])}}, r"differ in width(.|\n)*u7(.|\n)*2\n.*3"),
    "too few frames": ({"channels": {"m": Channel(np.ones((7, 2)))}}, r"frames do not match the ids(.|\n)*8\n.*7"),
    "absent everywhere": ({"channels": {"m": Channel([None] * 8)}}, r"absent from every utterance"),
    "NaN": ({"channels": {"m": Channel([[1, np.nan]] * 8)}}, r"8 of 8 utterances hold NaN or inf in m(.|\n)*'u0'(.|\n)*column 1"),
    "too big": ({"channels": {"m": Channel([[1, 1e300]] * 8)}}, r"8 of 8 utterances hold NaN or inf"),
    "token count": ({"channels": {"m": Channel(np.ones((8, 2, 3)), tokens=[[1]] * 8)}}, r"token ids do not match the frames"),
    "half a token": (
        {"channels": {"m": Channel(np.ones((8, 1, 3)), tokens=[[0.5]] * 8)}},
        r"token ids do not match(.|\n)*float64",
    ),
    "flag count": ({"channels": {"m": Channel(np.ones((8, 1, 3)), observed=[[True]] * 7)}}, r"flags do not match the ids"),
    "no labels": ({"labels": {}}, r"no labels for target 'mood'"),
    "labels of nothing": ({"targets": [], "labels": {"mod": [0] * 8}}, r"target that is not declared(.|\n)*mod"),
    "same target twice": (
        {"targets": [Target("y", "regression")] * 2, "labels": {"y": [0.0] * 8}},
        r"every target needs its own name",
    ),
}
LABELS = {
    "words": ("classification", ["joy"] * 8, r"labels of target 'y' are not numbers"),
    "shape": ("classification", [[0, 1]] * 8, r"wrong shape(.|\n)*\(8,\)(.|\n)*\(8, 2\)"),
    "half a class": ("classification", [0.5] + [0] * 7, r"must be whole numbers(.|\n)*u0"),
    "class too high": ("classification", [0, 1, 2, 3] * 2, r"4 label\(s\) of target 'y' are out of bounds(.|\n)*from 0 to 1"),
    "score too low": ("regression", [-9.0] + [0] * 7, r"1 label\(s\)(.|\n)*from -3 to 3(.|\n)*-9"),
    "score inf": ("regression", [np.inf] + [0] * 7, r"1 label\(s\)"),
    "shares": ("soft", [[0.5, 0.4]] + [[0.5, 0.5]] * 7, r"1 label\(s\)(.|\n)*sum to 1"),
    "half a share": ("soft", [[0.5, np.nan]] + [[0.5, 0.5]] * 7, r"1 label\(s\)(.|\n)*u0"),
    "unlabelled": ("classification", [-1] * 8, r"no utterance is labelled for target 'y'"),
}


@pytest.mark.parametrize("case", ASSEMBLED)
def test_assemble(case, make):
    changes, told = ASSEMBLED[case]
    if case == "no utterance":
        changes = {**changes, "dialogues": [], "turns": [], "splits": None, "speakers": None, "texts": None}
    with pytest.raises(DataError, match=told):
        make.corpus(**changes)


@pytest.mark.parametrize("case", LABELS)
def test_labels(case, make):
    task, values, told = LABELS[case]
    bounds = {"low": -3, "high": 3} if task == "regression" else {"classes": ("a", "b")}
    with pytest.raises(DataError, match=told):
        make.corpus(targets=[Target("y", task, **bounds)], labels={"y": values})


def test_one_modality_twice_is_seen(corpus):
    object.__setattr__(corpus, "modalities", (corpus.modalities[0],) * 2)
    with pytest.raises(DataError, match="every modality needs its own name"):
        check(corpus)


def spoil(name, row, column, value):
    def change(files):
        files[name][row][column] = value

    return change


MOSI = {
    "label differs": (spoil("audio_train0.csv", 1, 2, 1), r"1 labels .* disagree(.|\n)*audio_train0.csv(.|\n)*v_a_10"),
    "not a number": (spoil("video_train0.csv", 2, 0, "x"), r"video_train0.csv: line 3 is malformed(.|\n)*'x'"),
    "index beyond": (spoil("text_train.csv", 0, 0, 99), r"index into the transcripts(.|\n)*index 99"),
    "index twice": (spoil("text_test.csv", 0, 0, 1), r"every transcript once(.|\n)*v_a_10"),
    "an id without turn": (spoil("transcripts.csv", 2, 0, "v_a_x"), r"line 3 is malformed(.|\n)*<video>_<turn>"),
    "a row too few": (lambda f: f["audio_train0.csv"].pop(), r"do not match the index(.|\n)*3 rows(.|\n)*2 rows"),
    "a cell too few": (lambda f: f["text_train0.csv"][1].pop(), r"line 2 is malformed(.|\n)*3 numbers(.|\n)*2 fields"),
    "an empty file": (lambda f: f["audio_test0.csv"].clear(), r"the file is empty"),
    "NaN": (spoil("video_test0.csv", 0, 0, "nan"), r"1 of 4 utterances hold NaN or inf in vision(.|\n)*w_1"),
    "a file is missing": (lambda f: f.pop("video_test0.csv"), r"files are missing(.|\n)*no video_test0.csv"),
}


@pytest.mark.parametrize("case", MOSI)
def test_mosi_csv(case, make, tmp_path):
    change, told = MOSI[case]
    with pytest.raises(DataError, match=told):
        import_corpus(make.mosi(tmp_path / "mosi", change), importer="mosi-csv")


def put(split, key, value):
    return lambda content: content[split].__setitem__(key, value)


MMSA = {
    "a list": (lambda c: c.clear(), r"not an MMSA pickle"),
    "no ids": (lambda c: c["train"].pop("id"), r"only some splits have 'id'"),
    "too few ids": (put("test", "id", ["v$_$1"]), r"'annotations' of split 'test' does not match the ids(.|\n)*1\n.*2"),
    "an odd id": (put("test", "id", ["a", "b"]), r"an id names no clip(.|\n)*dialogue=utterance"),
    "clips twice": (put("test", "id", ["v$_$1", "v$_$01"]), r"turns of a dialogue must ascend"),
    "audio flat": (put("train", "audio", np.ones((2, 6))), r"'audio' of split 'train' is malformed(.|\n)*3 axes"),
    "length too long": (put("valid", "audio_lengths", [4, 7]), r"a stated length is impossible(.|\n)*0 to 6(.|\n)*7"),
    "mask with a hole": (
        lambda c: c["train"]["text_bert"][0, 1].__setitem__(1, 0),
        r"'text_bert' is malformed(.|\n)*one run of ones",
    ),
    "half the texts": (lambda c: c["valid"].pop("text"), r"only some splits have 'text'"),
    "short text": (put("train", "text", np.ones((2, 2, 7))), r"fewer text frames than tokens"),
    "width changes": (put("test", "audio", np.ones((2, 6, 4))), r"differ in width(.|\n)*audio"),
    "score": (put("train", "regression_labels", [9.0, 0]), r"out of bounds(.|\n)*-3 to 3"),
    "class": (put("train", "classification_labels", [5, 0]), r"out of bounds(.|\n)*0 to 2"),
}


@pytest.mark.parametrize("case", MMSA)
def test_mmsa(case, make, tmp_path):
    change, told = MMSA[case]
    content = make.mmsa()
    change(content)
    with pytest.raises(DataError, match=told):
        import_corpus(make.dump(tmp_path / "a.pkl", content), importer="mmsa")


def features(name, write):
    def change(folder):
        for file in folder.glob(f"{name.partition('.')[0]}.np*"):
            file.unlink()
        write(folder / name)

    return change


TABLE = {
    "no table": (lambda f: (f / "utterances.csv").unlink(), r"no table of utterances"),
    "empty table": (lambda f: (f / "utterances.csv").write_text(""), r"not a readable table"),
    "header only": (lambda f: (f / "utterances.csv").write_text("id,score\n"), r"not a readable table(.|\n)*no rows"),
    "no id column": (lambda f: (f / "utterances.csv").write_text("name\na\n"), r"no column 'id'(.|\n)*found: name"),
    "no id in a row": (lambda f: (f / "utterances.csv").write_text("id,x\na,1\n,2\n"), r"line 3 has no id"),
    "id twice": (lambda f: (f / "utterances.csv").write_text("id\na\na\n"), r"an id occurs twice(.|\n)*utterance 'a'"),
    "short line": (lambda f: (f / "utterances.csv").write_text("id,x\na\n"), r"line 2 is malformed(.|\n)*2 fields.*\n.*1"),
    "not UTF-8": (lambda f: (f / "utterances.csv").write_bytes(b"id\n\xff\xfe\n"), r"not a readable table"),
    "damaged parquet": (
        lambda f: ((f / "utterances.csv").unlink(), (f / "utterances.parquet").write_bytes(b"PAR1junk")),
        r"not a readable table",
    ),
    "rows differ": (features("audio.npy", lambda p: np.save(p, np.ones((3, 2)))), r"do not match the table(.|\n)*\(4, width\)"),
    "objects": (features("audio.npy", lambda p: np.save(p, np.array([{}] * 4), allow_pickle=True)), r"not a readable \.npy"),
    "truncated": (features("audio.npy", lambda p: p.write_bytes(b"\x93NUMPY\x01")), r"not a readable \.npy"),
    "foreign key": (features("vision.npz", lambda p: np.savez(p, zzz=np.ones((1, 2)))), r"1 key of no utterance(.|\n)*'zzz'"),
    "objects in npz": (features("vision.npz", lambda p: np.savez(p, a=np.array([{}]))), r"not a readable \.npz"),
    "lengths": (
        features("vision.npz", lambda p: np.savez(p, frames=np.ones((9, 2)), lengths=np.array([1, 1, 1, 1]))),
        r"frames and lengths do not match(.|\n)*sum to 4",
    ),
    "not safetensors": (features("vision.safetensors", lambda p: p.write_bytes(b"x" * 40)), r"not a whole safetensors file"),
    "inf": (features("audio.npy", lambda p: np.save(p, np.full((4, 2), np.inf))), r"4 of 4 utterances hold NaN or inf in audio"),
    "two files": (features("vision.npy", lambda p: (np.save(p, np.ones((4, 2))), np.savez(p.with_suffix(".npz")))), r"two files"),
}


@pytest.mark.parametrize("case", TABLE)
def test_table(case, make, tmp_path):
    change, told = TABLE[case]
    folder = make.own(tmp_path / "own")
    change(folder)
    with pytest.raises(DataError, match=told):
        import_corpus(folder, importer="table")


OTHER = {
    "mfn shape": ("mfn", {"a_audio_train": np.ones((2, 3, 4)), "a_y_train": np.ones(3)}, r"'a_audio_train' has the wrong shape"),
    "mfn not one-hot": (
        "mfn",
        {"a_audio_train": np.ones((2, 3, 4)), "a_y_train": np.ones((2, 3))},
        r"2 labels are not one-hot",
    ),
    "mfn label shape": (
        "mfn",
        {"a_audio_train": np.ones((2, 3, 4)), "a_text_train": np.ones((2, 3, 4))},
        r"no MFN labels",
    ),
    "vectors without labels": ("vectors", {"language": np.ones((2, 3))}, r"holds no labels"),
    "vectors rows": ("vectors", {"language": np.ones((2, 3)), "labels": np.ones(3)}, r"malformed(.|\n)*\(3, width\)"),
}


@pytest.mark.parametrize("case", OTHER)
def test_archives(case, tmp_path):
    importer, arrays, told = OTHER[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=told):
        import_corpus(tmp_path / "a.npz", importer=importer)


@pytest.mark.parametrize("importer", ["mfn", "mmsa", "vectors", "mosi-csv", "table", "gcnet", "conversations", "meld-csv"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"\x80\x04", b"id,text\n1,2\n"])
def test_garbage_forced_on_an_importer(importer, content, tmp_path):
    (tmp_path / "train_data.pkl").write_bytes(content)
    with pytest.raises(DataError):
        import_corpus(tmp_path / "train_data.pkl", importer=importer)
    with pytest.raises(DataError):
        import_corpus(tmp_path, importer=importer)


def edit(change):
    def apply(folder):
        path = folder / "corpus.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def flip(pattern, cut=False):
    def apply(folder):
        path = next(folder.glob(pattern))
        content = bytearray(path.read_bytes())
        content[-5] ^= 0xFF
        path.write_bytes(content[:-1] if cut else content)

    return apply


STORED = {
    "no manifest": (lambda f: (f / "corpus.json").unlink(), r"no corpus here"),
    "manifest cut": (lambda f: (f / "corpus.json").write_text('{"format": 1'), r"not a corpus manifest"),
    "manifest a list": (lambda f: (f / "corpus.json").write_text("[]"), r"not a corpus manifest"),
    "manifest binary": (lambda f: (f / "corpus.json").write_bytes(b"\xff\xfe"), r"not a corpus manifest"),
    "another format": (edit(lambda c: c.update(format=99)), r"another format(.|\n)*1\n.*99"),
    "no files": (edit(lambda c: c.pop("files")), r"not a corpus manifest"),
    "odd files": (edit(lambda c: c["files"].update(features={})), r"not a corpus manifest"),
    "no targets": (edit(lambda c: c.pop("targets")), r"not a corpus manifest(.|\n)*targets"),
    "odd modality": (edit(lambda c: c["modalities"][0].update(colour="red")), r"cannot be read(.|\n)*colour"),
    "unknown target": (edit(lambda c: c["targets"][0].update(name="zzz")), r"cannot be read(.|\n)*zzz"),
    "unknown modality": (edit(lambda c: c["modalities"][0].update(name="zzz")), r"features lack a tensor(.|\n)*zzz"),
    "features gone": (lambda f: next(f.glob("features-*")).unlink(), r"is not what was written(.|\n)*no such file"),
    "features cut": (flip("features-*", cut=True), r"is not what was written(.|\n)*bytes"),
    "table cut": (flip("utterances-*", cut=True), r"is not what was written"),
    "features changed": (flip("features-*"), r"another sha256"),
    "table changed": (flip("utterances-*"), r"another sha256"),
    "path outside": (edit(lambda c: c["files"]["features"].update(name="../../etc/passwd")), r"passwd is not what was written"),
}


@pytest.mark.parametrize("case", STORED)
def test_format(case, corpus, tmp_path):
    change, told = STORED[case]
    save_corpus(corpus, tmp_path)
    change(tmp_path)
    with pytest.raises(DataError, match=told):
        open_corpus(tmp_path, verify=True)


def test_a_changed_table_of_the_same_size_is_an_error_without_hashes_too(corpus, tmp_path):
    save_corpus(corpus, tmp_path)
    path = next(tmp_path.glob("utterances-*"))
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DataError, match="cannot be read"):
        open_corpus(tmp_path)


HEADERS = {
    "negative shape": {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}},
    "outside": {"x": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}},
    "unknown dtype": {"x": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}},
    "no offsets": {"x": {"dtype": "F32", "shape": [1]}},
    "not a dict": [1, 2],
    "overflow": {"x": {"dtype": "F32", "shape": [1 << 32, 1 << 32], "data_offsets": [0, 0]}},
    "negative offset": {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
}


@pytest.mark.parametrize("case", HEADERS)
def test_safetensors_headers(case, tmp_path):
    text = json.dumps(HEADERS[case]).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\x00" * 8)
    with pytest.raises(DataError, match="not a whole safetensors file"):
        map_tensors(tmp_path / "a.safetensors")
