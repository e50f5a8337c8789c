import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from lacuna.cli import main
from lacuna.corpus import save_corpus
from lacuna.corpus.doctor import examine, render
from lacuna.corpus.importers import import_corpus, importer_class
from lacuna.corpus.importers.table_guesses import likely_classes
from lacuna.corpus.splits import carve_valid, fold
from lacuna.errors import DataError


class Evil:
    def __reduce__(self):
        return os.system, ("touch sentinel",)


GARBAGE = {
    "empty": (b"", "an empty file"),
    "text": (b"hello\n" * 10, "a text file"),
    "binary": (bytes(range(256)) * 20, "a binary file"),
    "mp4": (b"\0\0\0\x18ftypisom" + bytes(99), "a recording (MP4 or M4A)"),
    "webm": (b"\x1aE\xdf\xa3" + bytes(99), "a recording (Matroska or WebM)"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "an HDF5 file"),
    "cut zip": (b"PK\x03\x04" + b"\0" * 40, "a zip archive"),
    "npy": (b"\x93NUMPY\x01\x00", "a numpy array"),
    "cut pickle": (pickle.dumps({"train": list(range(1000))})[:500], "a pickle that is cut off"),
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
    nothing = examine(tmp_path / "nope")
    assert nothing.kind == "nothing"
    assert str(tmp_path / "nope") in nothing.errors[0]
    assert "LACUNA_SHARED_DATA" in nothing.advice
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


def both_classes_in_test(files):
    files["transcripts.csv"].append(["w_2", "say w_2", 3, 1])
    files["text_test.csv"].append([4, 4.5, 1.5])
    for name in ("text", "audio", "video"):
        files[f"{name}_test0.csv"].append([4.5, 1.5, 1])


def test_usable_data_get_facts_and_a_snippet(make, tmp_path):
    folder = make.mosi(tmp_path / "mosi", both_classes_in_test)
    diagnosis = examine(folder)
    text = render(diagnosis)
    assert diagnosis.usable
    for told in (
        "importer: mosi-csv",
        "5 in 2 dialogues",
        "train 3 in 1 dialogue, test 2 in 1 dialogue",
        "transcripts: 5 of 5",
        "modality audio: 2 wide",
        "train: negative 1, non-negative 2; test: negative 1, non-negative 1",
        "warning: there is no valid split",
        f"path: {folder}\n    importer: mosi-csv\n    # add dialogues before you train",
        "at least 3 dialogues are needed to make the splits, one each for train, valid and test; there are 2",
    ):
        assert told in text


ROWS = [[f"u{i}", f"d{i // 2}", ("train", "test")[i >= 12], ("joy", "anger")[i % 2], i % 3, 2 - i % 3] for i in range(16)]


def table(folder, rows=ROWS, header=("id", "dialogue", "split", "emotion", "v_a", "v_b"), separator=","):
    folder.mkdir()
    text = "\n".join(separator.join(map(str, row)) for row in [header, *rows])
    (folder / "utterances.csv").write_text(text, encoding="utf-8")
    np.save(folder / "text.npy", np.random.default_rng(0).normal(size=(len(rows), 3)))
    return folder


def columns(*chosen):
    return {
        "rows": [[row[c] for c in chosen] for row in ROWS],
        "header": [("id", "dialogue", "split", "emotion")[c] for c in chosen],
    }


def test_advice_is_yaml_that_the_importer_takes(tmp_path):
    folder = table(tmp_path / "it's: mine #1")
    advice = examine(folder, importer="table", soft="v_a,v_b", targets=["emotion"], nonfinite="zero").advice
    ingest = yaml.safe_load(advice)["ingest"]
    assert ingest["options"] == {"soft": ["v_a", "v_b"], "targets": ["emotion"], "nonfinite": "zero"}
    assert (ingest["path"], ingest["split"], ingest["valid_share"]) == (str(folder), "carve", 0.15)
    assert "another target: --params train.target=votes" in advice
    assert "if v_a" not in advice
    assert [t.name for t in import_corpus(folder, **ingest["options"]).targets] == ["emotion", "votes"]
    assert yaml.safe_load(examine(folder, importer="table", targets=[]).advice.partition(":")[0]) == (
        "a model trained on another corpus can label it"
    )


def test_votes_are_seen_and_targets_named(tmp_path):
    advice = examine(table(tmp_path / "own")).advice
    assert "# trained on: emotion; another target: --params train.target=v_a\n#   others: v_b" in advice
    assert "# if v_a, v_b are votes" in advice
    options = yaml.safe_load(advice.rpartition("#   options: ")[2])
    assert [t.task for t in import_corpus(tmp_path / "own", **options).targets] == ["soft"]
    assert "are votes" not in examine(tmp_path / "own", classes=["v_a"]).advice
    scores = [[*row[:4], 1 + row[4], 7] for row in ROWS]
    assert "are votes" not in examine(table(tmp_path / "scores", scores)).advice


@pytest.mark.parametrize(
    ("rows", "splits", "cut", "folds"),
    [(2, False, None, None), (6, False, "fold", 3), (16, False, "fold", 5), (16, True, "carve", None)],
)
def test_splits_that_are_advised_can_be_made(rows, splits, cut, folds, tmp_path):
    given = columns(0, 1, 2, 3) if splits else columns(0, 1, 3)
    folder = table(tmp_path / "own", given["rows"][:rows], given["header"])
    diagnosis = examine(folder)
    ingest = yaml.safe_load(diagnosis.advice)["ingest"]
    assert (ingest.get("split"), ingest.get("folds")) == (cut, folds)
    corpus = import_corpus(folder)
    if cut == "fold":
        fold(corpus, folds, 0, 0)
    elif cut == "carve":
        carve_valid(corpus, ingest["valid_share"], 0)
    else:
        assert "at least 3 dialogues are needed to make the splits" in diagnosis.warnings[-2]
        assert "there is 1" in diagnosis.warnings[-2]
    save_corpus(corpus, tmp_path / "ours")
    ours = examine(tmp_path / "ours").advice
    if cut:
        assert f"kedro run --params ingest.path={tmp_path / 'ours'},ingest.name=own,ingest.split={cut}" in ours
    else:
        assert "add dialogues" in ours


def test_one_dialogue_with_a_split_is_not_told_to_carve(tmp_path):
    folder = table(tmp_path / "own", [["a", "d", "train", "x"], ["b", "d", "train", "y"]], ["id", "dialogue", "split", "emotion"])
    text = render(examine(folder))
    assert "there is no valid split" in text
    for wrong in ("carve", "split: fold", "folds:"):
        assert wrong not in text


def test_scarce_classes_and_unlabelled_rows_are_told(tmp_path):
    rows = [[*row[:3], "fear" if i == 0 else "" if i == 1 else row[3]] for i, row in enumerate(ROWS)]
    rows[2][3] = "joy"
    text = render(examine(table(tmp_path / "own", rows, ["id", "dialogue", "split", "emotion"])))
    assert "warning: target 'emotion': fewer than 5 labelled utterances of class fear 1" in text
    assert "warning: target 'emotion': no test utterance of class fear" in text
    assert "target emotion: classification; 1 of 16 utterances unlabelled; train: anger" in text


def test_a_class_that_looks_misspelt_is_asked_about(tmp_path):
    rows = [["angr" if i == 0 else "anger" if i % 2 else "joy"] for i in range(16)]
    text = render(examine(table(tmp_path / "own", [[f"u{i}", *row] for i, row in enumerate(rows)], ["id", "emotion"])))
    assert "of class angr 1 (did you mean 'anger'?)" in text


def test_numbers_that_may_be_classes_get_the_option(tmp_path):
    rows = [[f"u{i}", i % 3, 1 + i % 2, 7 * (i % 3), i / 3, i] for i in range(16)]
    folder = table(tmp_path / "own", rows, ["id", "emotion", "arousal", "steps", "score", "age"])
    assert likely_classes(folder) == ["emotion", "arousal"]
    advice = examine(folder).advice
    options = yaml.safe_load(advice.partition("#   options: ")[2].splitlines()[0])
    assert "--option classes=emotion,arousal" in advice
    assert [t.task for t in import_corpus(folder, **options).targets[:3]] == ["classification", "classification", "regression"]
    assert "codes of classes" not in examine(folder, **options).advice


def test_a_folder_with_a_table_of_features_is_told_how(tmp_path):
    (tmp_path / "features.csv").write_text("id,emotion,text_0,text_1\na,joy,0.5,0.1\n")
    assert "a table with feature columns: save the columns id" in examine(tmp_path).advice


def test_one_utterance(tmp_path):
    diagnosis = examine(table(tmp_path / "own", [["a", "joy"]], ["id", "emotion"]))
    assert diagnosis.summary["utterances"] == "1 in 1 dialogue, 1 speaker"
    assert "one utterance is too few to train on" in diagnosis.warnings
    assert "--pipelines predict" in diagnosis.advice


TABLES = {
    "latin-1": (lambda f: (f / "utterances.csv").write_bytes("id,text\na,grün\n".encode("latin-1")), "save it as UTF-8"),
    "another name": (lambda f: (f / "utterances.csv").write_text("name,text\na,b\n"), "to 'id' ('name'?)"),
    "empty": (lambda f: (f / "utterances.csv").write_text(""), "an empty file"),
    "no features": (lambda f: (f / "text.npy").unlink(), "write one file for each modality"),
    "cut array": (lambda f: (f / "text.npy").write_bytes(b"\x93NUM"), "write it again from its source"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_read_tells_its_own_error(case, tmp_path):
    change, told = TABLES[case]
    change(table(tmp_path / "own"))
    diagnosis = examine(tmp_path / "own")
    assert (diagnosis.usable, diagnosis.importer) == (False, "table")
    assert told in diagnosis.errors[0]
    assert "no importer" not in render(diagnosis)
    with pytest.raises(DataError) as caught:
        import_corpus(tmp_path / "own")
    assert told in str(caught.value)


def test_a_file_of_a_folder_and_a_folder_of_one_file(make, tmp_path):
    folder = table(tmp_path / "own")
    for name in ("utterances.csv", "text.npy"):
        assert examine(folder / name).advice == f"give the folder: {folder}"
    inner = tmp_path / "around"
    inner.mkdir()
    (inner / "LICENSE").write_text("free")
    make.dump(inner / "a.pkl", make.mmsa())
    assert examine(inner).advice == f"to read a.pkl, give its path: {inner / 'a.pkl'}"
    with pytest.raises(DataError, match=r"do: to read a\.pkl"):
        import_corpus(inner)
    make.dump(inner / "b.pkl", make.mmsa())
    assert examine(inner).advice == "give the path of one of the 2 readable entries: a.pkl, b.pkl"


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_damaged_array_that_nobody_reads_is_explained(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(500) if name == "a.npz" else b"hello")
    text = render(examine(tmp_path / name))
    assert "cut off" in text
    assert "allow_pickle" not in text


def test_nonfinite_is_refused_with_the_way_out(tmp_path):
    vectors = {"language": np.ones((3, 2)), "acoustic": np.array([[1.0], [-np.inf], [2.0]]), "labels": np.array([0.5, 1, 2])}
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
    folder = str(make.mosi(tmp_path / "mosi", both_classes_in_test))
    assert run(main, ["doctor", folder]).exit_code == 0
    refused = run(main, ["doctor", folder, "--option", "colour=red"])
    assert refused.exit_code == 1
    assert "no option 'colour'" in refused.output
    assert run(main, ["doctor", folder, "--importer", "magic"]).exit_code == 1
    assert run(main, ["doctor", folder, "--option", "x"]).exit_code == 2
    assert run(main, ["doctor", folder, "--importer", "mosi-csv", "--option", "nonfinite=absent"]).exit_code == 0
    assert run(main, ["doctor", str(tmp_path / "nope")]).exit_code == 1


def test_duet_command(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(main, ["duet", *map(str, arguments), "--preset", "tiny"])

    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "inside"):
        refused = run(place)
        assert refused.exit_code == 1
        assert f"Error: cannot write to {place}: " in refused.output
    assert run(tmp_path / "new").exit_code == 0
    before = (tmp_path / "new" / "corpus.json").read_bytes()
    again = run(tmp_path / "new", "--set", "seed=1")
    assert (again.exit_code, (tmp_path / "new" / "corpus.json").read_bytes()) == (1, before)
    assert "--overwrite" in again.output
    assert run(tmp_path / "new", "--set", "seed=1", "--overwrite").exit_code == 0
    assert (tmp_path / "new" / "corpus.json").read_bytes() != before


def test_help_is_not_cut():
    assert "..." not in CliRunner().invoke(main, ["--help"], terminal_width=80).output.partition("Commands:")[2]


def test_help_imports_nothing_heavy():
    code = "import sys, lacuna.cli; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'kedro', 'pyarrow', 'rich')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_class_in_train_or_test_is_an_error(tmp_path):
    rows = [[*row[:3], "joy" if row[2] == "test" else row[3]] for row in ROWS]
    diagnosis = examine(table(tmp_path / "own", rows, ["id", "dialogue", "split", "emotion"]))
    assert not diagnosis.usable
    assert "target 'emotion' has one class in test" in diagnosis.errors[0]
    assert "4 of class 'joy'" in diagnosis.errors[0]


def test_what_was_declared_absent_is_not_called_zero(make, tmp_path):
    content = make.mmsa()
    content["test"]["audio"][1] = np.nan
    content["train"]["audio"][1] = 0
    diagnosis = examine(make.dump(tmp_path / "a.pkl", content), nonfinite="absent")
    assert diagnosis.summary["modality audio"].endswith("absent: test 1")
    zero = [w for w in diagnosis.warnings if "all zero" in w and "audio" in w]
    assert len(zero) == 1
    assert zero[0].startswith("1 recordings of audio")
    assert "option zeros=absent" in zero[0]
    absent = examine(tmp_path / "a.pkl", nonfinite="absent", zeros="absent")
    assert not [w for w in absent.warnings if "all zero" in w]


def test_the_hint_for_ids_never_names_the_words(tmp_path):
    rows = [["Okay", "A", 0, 0], ["No", "B", 0, 1], ["Yes", "A", 1, 0]]
    error = examine(table(tmp_path / "own", rows, ["Utterance", "Speaker", "Dialogue_ID", "Utterance_ID"])).errors[0]
    assert "('Utterance'?)" not in error
    assert "made of the columns Dialogue_ID and Utterance_ID" in error
