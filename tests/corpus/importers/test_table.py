import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.importers.table_guesses import likely_votes
from lacuna.errors import ConfigError, DataError


def test_csv_with_dense_and_keyed_features(make, tmp_path):
    corpus = import_corpus(make.own(tmp_path / "own"))
    assert corpus.ids == ["001", "003", "002", "004"]  # turns as numbers, ids as text
    assert corpus.transcripts == ["hi, you", "NA", None, "no"]
    assert corpus.absences() == {"audio": {"train": 1, "test": 0}, "vision": {"train": 2, "test": 0}}
    emotion, score = corpus.targets
    assert emotion.classes == ("anger", "joy")
    assert corpus.utterances.labels["emotion"].tolist() == [1, -1, 0, 1]
    assert score.task == "regression"
    np.testing.assert_array_equal(corpus.utterances.labels["score"], [1.5, np.nan, -1, 0])
    assert corpus.frames["vision"].count.tolist() == [3, 0, 0, 2]
    assert import_corpus(tmp_path / "own", zeros="absent").absences()["vision"] == {"train": 2, "test": 1}


def test_parquet_safetensors_and_ragged_npz(tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "split": ["train", "dev"], "stars": [3, 5], "joy": [2, 0], "fear": [2, 1]})
    frame.to_parquet(tmp_path / "utterances.parquet")
    save_file({"b": np.ones((4, 2), np.float32)}, tmp_path / "face.safetensors")
    np.savez(tmp_path / "voice.npz", frames=np.ones((3, 5)), lengths=np.array([3, 0]))
    corpus = import_corpus(tmp_path, name="mine", classes="stars", soft=["joy", "fear"])
    assert corpus.frames["face"].count.tolist() == [0, 4]
    assert corpus.frames["voice"].count.tolist() == [3, 0]
    assert {t.name: (t.task, t.classes) for t in corpus.targets} == {
        "stars": ("classification", ("3", "5")),
        "votes": ("soft", ("joy", "fear")),
    }
    assert corpus.utterances.labels["votes"].tolist() == [[0.5, 0.5], [0, 1]]
    assert corpus.utterances.split.tolist() == [0, 1]


def test_sequences_in_one_array(tmp_path, make):
    folder = make.own(tmp_path / "own")
    frames = np.ones((4, 3, 2), np.float32)
    frames[0, 1] = np.nan  # a hole
    frames[1, 1:] = np.nan  # padding
    frames[2] = np.nan  # absent
    np.save(folder / "audio.npy", frames)
    corpus = import_corpus(folder, modalities=["audio"])
    audio = corpus.frames["audio"]
    assert audio.count.tolist() == [3, 0, 1, 3]
    assert audio.observed[audio.start[0] : audio.start[0] + 3].tolist() == [True, False, True]


def test_options_choose_columns(make, tmp_path):
    folder = make.own(tmp_path / "own")
    corpus = import_corpus(folder, targets=["score"])
    assert [t.name for t in corpus.targets] == ["score"]
    assert "columns not read: emotion" in corpus.provenance.notes
    with pytest.raises(ConfigError, match="no column 'anger'; it has: id, dialogue"):
        import_corpus(folder, targets=["anger"])
    with pytest.raises(ConfigError, match="no file for modality 'smell'"):
        import_corpus(folder, modalities=["smell"])


@pytest.mark.parametrize(("separator", "told"), [(";", "';'"), ("\t", "tabs")])
def test_other_separators_are_read_and_noted(separator, told, tmp_path):
    rows = [["id", "score", "words, said", "emotion"], ["a", "1,5", "2", '"x, y"'], ["b", "-2", "3", "z"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    (tmp_path / "utterances.csv").write_text(text, encoding="utf-8-sig", newline="")  # as Excel writes it
    np.save(tmp_path / "audio.npy", np.ones((2, 2)))
    assert "table" in recognise(tmp_path)
    corpus = import_corpus(tmp_path)
    assert corpus.utterances.labels["score"].tolist() == [1.5, -2]
    assert corpus.targets[2].classes == ("x, y", "z")
    assert corpus.provenance.notes[:2] == (f"utterances.csv is separated by {told}", "decimal commas read in: score")


def test_a_misspelt_standard_column_is_no_label(tmp_path):
    (tmp_path / "utterances.csv").write_text("id,Dialouge,emotion\na,d,x\nb,d,y\n", "utf-8")
    np.save(tmp_path / "audio.npy", np.ones((2, 2)))
    with pytest.raises(DataError, match="rename 'Dialouge' to 'dialogue'"):
        import_corpus(tmp_path)
    assert [t.name for t in import_corpus(tmp_path, targets=["emotion"]).targets] == ["emotion"]


def test_splits_under_another_name_are_no_label(tmp_path):
    (tmp_path / "utterances.csv").write_text("id,Partition,emotion\na,Train,x\nb,dev,y\nc,test,y\n", "utf-8")
    np.save(tmp_path / "audio.npy", np.ones((3, 2)))
    with pytest.raises(DataError, match=r"'Partition' holds names of splits(.|\n)*rename 'Partition' to 'split'"):
        import_corpus(tmp_path)
    assert [t.name for t in import_corpus(tmp_path, targets=["Partition"]).targets] == ["partition"]


def test_features_saved_as_text_are_named(tmp_path):
    (tmp_path / "utterances.csv").write_text("id,emotion\na,x\nb,y\n", "utf-8")
    np.save(tmp_path / "audio.npy", np.ones((2, 2)).astype(str))
    with pytest.raises(DataError, match=r"do: save numbers: array.astype\(np.float32\)"):
        import_corpus(tmp_path)


def test_likely_votes(make, tmp_path):
    folder = make.own(tmp_path / "own")
    assert likely_votes(folder) == []
    make.csv(folder / "utterances.csv", [["id", "joy", "fear", "age", "rate"], [1, 2, 0, 40, 0.5], [2, 0, 1, 30, -1]])
    assert likely_votes(folder) == ["joy", "fear"]
    make.csv(folder / "utterances.csv", [["id", "joy", "fear"], [1, 2, 0], [2, 0, 0]])
    assert likely_votes(folder) == []


def test_columns_with_a_colon_are_shares_of_votes(tmp_path):
    table = "id,votes:joy,votes:fear,emotion\na,2,2,joy\nb,,,fear\nc,0,1,joy\n"
    (tmp_path / "utterances.csv").write_text(table, "utf-8")
    np.save(tmp_path / "text.npy", np.ones((3, 2), np.float32))
    corpus = import_corpus(tmp_path, name="mine")
    assert [(t.name, t.task) for t in corpus.targets] == [("emotion", "classification"), ("votes", "soft")]
    assert corpus.targets[1].classes == ("joy", "fear")
    np.testing.assert_array_equal(corpus.utterances.labels["votes"], [[0.5, 0.5], [np.nan, np.nan], [0, 1]])
    assert [t.name for t in import_corpus(tmp_path, name="mine", targets=["votes"]).targets] == ["votes"]


def test_shares_below_zero_or_of_words_are_refused(tmp_path):
    np.save(tmp_path / "text.npy", np.ones((2, 2), np.float32))
    (tmp_path / "utterances.csv").write_text("id,votes:joy,votes:fear\na,2,2\nb,-1,3\n", "utf-8")
    with pytest.raises(DataError, match="line 3 has no shares"):
        import_corpus(tmp_path, name="mine")
    (tmp_path / "utterances.csv").write_text("id,votes:joy,votes:fear\na,2,many\nb,1,3\n", "utf-8")
    with pytest.raises(DataError, match="are not numbers"):
        import_corpus(tmp_path, name="mine")
