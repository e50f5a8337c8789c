"""Other forms in which the same corpora are distributed."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from adapter_layouts import LAYOUTS, write
from lacuna.corpus.adapters import read_folder
from lacuna.errors import DataError, UnsafePickleError

MMSA = "video_id,clip_id,text,label,annotation,mode,label_T,label_A,label_V\n"


def test_mosi_and_mosei_as_mmsa_distributes_them(tmp_path: Path) -> None:
    rows = ["-3g5yACwYnA,10,it was ok,0.3333,Positive,train,,,", "-3g5yACwYnA,2,no,-1.0,Negative,train,,,"]
    write(tmp_path, "label.csv", MMSA + "\n".join([*rows, "ab_0cdefghi,0,hm,0.0,Neutral,test,,,", ""]))
    write(tmp_path, "Raw/-3g5yACwYnA/2.mp4")
    write(tmp_path, "Raw/-3g5yACwYnA/10.mp4")
    write(tmp_path, "Raw/ab_0cdefghi/10.mp4")
    corpus = read_folder(tmp_path)
    assert corpus.adapter.name == "mosi"
    assert [row.id for row in corpus.rows] == ["-3g5yACwYnA_2", "-3g5yACwYnA_10", "ab_0cdefghi_0"]
    assert corpus.missing == ("ab_0cdefghi_0",)
    assert corpus.labels()["score"].tolist() == [-1.0, 0.3333, 0.0]
    assert {target.name for target in corpus.targets} == {"score", "polarity"}


def test_mosei_labels_cut_whole_videos(tmp_path: Path) -> None:
    head = ",file,index,start,end,label2a,label2b,label6,label7,split\n"
    rows = "0,-3g5yACwYnA,2,4.84,14.05,1,1,1,1,0\n1,-3g5yACwYnA,0,-0.5,4.84,0,-1,-2,-2,0\n2,zk2jTlAtvSU,1,0.0,2.5,1,0,0,0,2\n"
    write(tmp_path, "CMU_MOSEI_Labels.csv", head + rows)
    write(tmp_path, "Raw/Audio/Full/WAV_16000/-3g5yACwYnA.wav")
    write(tmp_path, "Raw/Videos/Segmented/Combined/zk2jTlAtvSU_1.mp4")
    write(
        tmp_path,
        "Raw/Transcript/Segmented/Combined/-3g5yACwYnA.txt",
        "-3g5yACwYnA___2___4.8400___14.0500___Key is part___of it.\n",
    )
    corpus = read_folder(tmp_path)
    first, second, third = corpus.rows
    assert [row.id for row in corpus.rows] == ["-3g5yACwYnA_0", "-3g5yACwYnA_2", "zk2jTlAtvSU_1"]
    assert (first.start, first.end, second.start, second.end) == (0.0, 4.84, 4.84, 14.05)
    assert (third.start, third.end) == (0.0, None)
    assert second.text == "Key is part___of it."
    assert [row.split for row in corpus.rows] == ["train", "train", "test"]
    assert corpus.labels()["polarity"].tolist() == [0, 2, 1]
    assert not corpus.missing


def test_ch_sims_v2_has_its_own_names_of_videos(tmp_path: Path) -> None:
    rows = "aqgy3_0001,00000,好,0.4,Weakly Positive,valid,0.2,0.4,0.4\naqgy3_0001,00001,不,-0.8,Negative,test,-1,-0.4,-0.8\n"
    write(tmp_path, "meta.csv", MMSA + rows)
    write(tmp_path, "Raw/aqgy3_0001/00000.mp4")
    corpus = read_folder(tmp_path)
    assert corpus.adapter.name == "ch-sims"
    assert corpus.n_recordings == 1
    assert corpus.labels()["score_audio"].tolist() == [0.4, -0.4]
    assert corpus.targets[-1].classes[int(corpus.labels()["polarity"][0])] == "weakly positive"


def test_scores_of_one_modality_are_left_out_where_there_are_none(tmp_path: Path) -> None:
    write(tmp_path, "meta.csv", "video_id,clip_id,text,label,mode\nvideo_0001,0001,好,0.4,train\n")
    assert [target.name for target in read_folder(tmp_path).targets] == ["score"]


def test_older_votes_of_msp_podcast_are_read(tmp_path: Path) -> None:
    expected = LAYOUTS["msp-podcast"](tmp_path)
    write(
        tmp_path,
        "Labels/labels_detailed.csv",
        "FileName,EmoDetail\n"
        'MSP-PODCAST_0001_0008.wav,"WORKER00000001; Neutral; Neutral,Concerned; A:2.0; V:4.0; D:3.0;"\n'
        'MSP-PODCAST_0001_0008.wav,"WORKER00000002; Other-bored; Other; A:2.0; V:4.0; D:3.0;"\n',
    )
    corpus = read_folder(tmp_path)
    row = [one.id for one in corpus.rows].index("MSP-PODCAST_0001_0008")
    shares = dict(zip(corpus.targets[1].classes, corpus.labels()["votes"][row], strict=True))
    assert {word: share for word, share in shares.items() if share} == expected.votes["votes", "MSP-PODCAST_0001_0008"]


def test_msp_podcast_without_votes_has_unlabelled_votes(tmp_path: Path) -> None:
    LAYOUTS["msp-podcast"](tmp_path)
    (tmp_path / "Labels/labels_detailed.csv").unlink()
    assert (read_folder(tmp_path).labels()["votes"] != read_folder(tmp_path).labels()["votes"]).all()  # NaN


def test_mahaemotions_with_eleven_classes(tmp_path: Path) -> None:
    for name, label in (("train", "Anger"), ("validation", "Disgust"), ("test", "Pride")):
        write(tmp_path, f"{name}.csv", f"Tweet,Label\nका,{label}\n")
    corpus = read_folder(tmp_path)
    assert len(corpus.targets[0].classes) == 11
    LAYOUTS["mahaemotions"](tmp_path)
    assert len(read_folder(tmp_path).targets[0].classes) == 10


def test_iemocap_turns_are_cut_from_the_dialogue_where_sentences_are_missing(tmp_path: Path) -> None:
    LAYOUTS["iemocap"](tmp_path)
    rows = {row.id: row for row in read_folder(tmp_path).rows}
    whole = rows["Ses01F_impro01_F001"]
    assert whole.file is not None
    assert (whole.file.name, whole.start, whole.end) == ("Ses01F_impro01.wav", 9.9, 11.0)
    sentence = rows["Ses01F_impro01_F000"]
    assert sentence.file is not None
    assert (sentence.file.name, sentence.start, sentence.end) == ("Ses01F_impro01_F000.wav", 0.0, None)


def test_meld_without_a_split_says_so(tmp_path: Path) -> None:
    LAYOUTS["meld"](tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    corpus = read_folder(tmp_path)
    assert corpus.counts() == {"train": 2, "test": 2}
    assert "there is no dev_sent_emo.csv" in corpus.notes


def test_the_first_of_several_forms_of_a_recording_is_used(tmp_path: Path) -> None:
    LAYOUTS["crema-d"](tmp_path)
    files = {row.id: row.file for row in read_folder(tmp_path).rows}
    assert files["1001_IEO_NEU_XX"] == tmp_path / "VideoFlash/1001_IEO_NEU_XX.flv"
    assert files["1002_DFA_ANG_HI"] == tmp_path / "AudioWAV/1002_DFA_ANG_HI.wav"


def test_a_wesad_pickle_that_names_code_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "S2"
    folder.mkdir()
    (folder / "S2.pkl").write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    with pytest.raises(UnsafePickleError, match=r"os\.system"):
        read_folder(tmp_path, "wesad")


def test_a_wesad_pickle_with_other_keys_is_named(tmp_path: Path) -> None:
    LAYOUTS["wesad"](tmp_path)
    (tmp_path / "S10/S10.pkl").write_bytes(pickle.dumps({"labels": [1]}, protocol=2))
    with pytest.raises(DataError, match=r"S10.pkl is malformed"):
        read_folder(tmp_path)


@pytest.mark.parametrize("name", ["wesad", "iemocap"])
def test_a_part_of_a_corpus_is_recognised(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path)
    for place in sorted(tmp_path.iterdir())[1:]:
        shutil.rmtree(place)
    assert len(list(tmp_path.iterdir())) == 1
    assert read_folder(tmp_path).adapter.name == name


def test_a_named_adapter_says_which_label_file_is_missing(tmp_path: Path) -> None:
    write(tmp_path, "README.txt", "nothing")
    with pytest.raises(DataError, match=r"label file of MSP-Podcast is missing(?s:.*)Labels/labels_consensus.csv"):
        read_folder(tmp_path, "msp-podcast")
