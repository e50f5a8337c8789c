"""A tiny copy of each public corpus's layout, and what must be read from it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LAYOUTS: dict[str, Callable[[Path], Expected]] = {}


@dataclass(frozen=True)
class Expected:
    """What an adapter must read.

    Attributes:
        splits: utterances by split.
        speakers: all names.
        classes: labelled utterances by class of the target that is named.
        target: a classification target.
        recordings: how many exist; ``None`` = the corpus has none.
        texts: utterances with a transcript.
        votes: shares of one utterance, by soft target, utterance and class.
        turns: ids of one dialogue in order.
        positional: whether ids depend on the order of rows.
    """

    splits: dict[str, int]
    speakers: set[str]
    classes: dict[str, int]
    target: str = "emotion"
    recordings: int | None = None
    texts: int = 0
    votes: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    turns: list[str] = field(default_factory=list)
    positional: bool = False


def layout(name: str) -> Callable[[Callable[[Path], Expected]], Callable[[Path], Expected]]:
    """Return a decorator that registers the copy of a corpus."""

    def add(build: Callable[[Path], Expected]) -> Callable[[Path], Expected]:
        LAYOUTS[name] = build
        return build

    return add


def write(folder: Path, name: str, text: str = "") -> None:
    """Write a file; a recording is empty, because adapters never decode."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


MELD_HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
MELD_TIMES = '4,7,"00:20:57,256","00:21:00,049"\n'


@layout("meld")
def meld(folder: Path) -> Expected:
    write(
        folder,
        "train/train_sent_emo.csv",
        MELD_HEAD + f'1,"Oh, no.",Rachel,sadness,negative,0,0,{MELD_TIMES}2,Why?,Ross,surprise,neutral,0,1,{MELD_TIMES}',
    )
    write(folder, "dev_sent_emo.csv", MELD_HEAD + f"1,Fine.,Rachel,neutral,neutral,0,0,{MELD_TIMES}")
    write(
        folder,
        "test_sent_emo.csv",
        MELD_HEAD + f"1,Great!,The Waiter,joy,positive,0,0,{MELD_TIMES}2,Go.,Joey,anger,negative,1,0,{MELD_TIMES}",
    )
    for clip in ("dia0_utt0", "dia0_utt1"):
        write(folder, f"train/train_splits/{clip}.mp4")
    write(folder, "dev/dev_splits_complete/dia0_utt0.mp4")
    write(folder, "output_repeated_splits_test/dia0_utt0.mp4")
    write(folder, "output_repeated_splits_test/._dia1_utt0.mp4")  # resource forks of macOS are in the archive
    return Expected(
        {"train": 2, "valid": 1, "test": 2},
        {"Rachel", "Ross", "The Waiter", "Joey"},
        {"sadness": 1, "surprise": 1, "neutral": 1, "joy": 1, "anger": 1},
        recordings=4,
        texts=5,
        turns=["train_0_0", "train_0_1"],
    )


@layout("melt")
def melt(folder: Path) -> Expected:
    head = "filename,Sr_No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,llm_label\n"
    train = "dia3_utt0.wav,1,Hi.,ross,neutral,neutral,3,0,1,joy\ndia3_utt2.wav,3,No!,rachel,anger,negative,3,2,1,frustration\n"
    write(folder, "meld_train.csv", head + train)
    write(folder, "meld_test.csv", head + 'dia0_utt0.wav,1,"Well, ok.",ross,fear,negative,0,0,1,surprise\n')
    write(folder, "train/dia3_utt0.wav")
    write(folder, "test/dia0_utt0.wav")
    return Expected(
        {"train": 2, "test": 1},
        {"ross", "rachel"},
        {"joy": 1, "frustration": 1, "surprise": 1},
        recordings=2,
        texts=3,
        turns=["train_3_0", "train_3_2"],
    )


@layout("iemocap")
def iemocap(folder: Path) -> Expected:
    for session, sex in ((1, "F"), (4, "M"), (5, "F")):
        dialogue = f"Ses0{session}{sex}_impro01"
        write(
            folder,
            f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt",
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            f"[8.2357 - 9.5000]\t{dialogue}_F000\tneu\t[2.5000, 3.0000, 2.5000]\n"
            "C-E2:\tNeutral;\t()\nC-E3:\tNeutral;\t()\nC-E4:\tNeutral; Sadness;\t(a; comment)\nC-F1:\tAnger;\t()\n"
            "A-E3:\tval 3; act 2; dom  2;\t()\n\n"
            f"[6.2901 - 8.2357]\t{dialogue}_M000\tang\t[1.5000, 4.0000, 4.5000]\n"
            "C-E2:\tAnger;\t()\nC-E3:\tFrustration;\t()\nA-E3:\tval 2; act 4; dom  4;\t()\n\n"
            f"[9.9000 - 11.0000]\t{dialogue}_F001\txxx\t[3.0000, 3.0000, 3.0000]\nC-E2:\tOther;\t()\n\n",
        )
        write(
            folder,
            f"Session{session}/dialog/transcriptions/{dialogue}.txt",
            f"{dialogue}_M000 [006.2901-008.2357]: Excuse me.\n{dialogue}_F000 [008.2357-009.5000]: Yeah: what?\n"
            f"M: [BREATHING]\n{dialogue}_F001 [009.9000-011.0000]: Well.\n",
        )
        write(folder, f"Session{session}/dialog/EmoEvaluation/Categorical/{dialogue}_e1_cat.txt", "not read\n")
        write(folder, f"Session{session}/dialog/wav/{dialogue}.wav")
        for turn in ("M000", "F000"):
            write(folder, f"Session{session}/sentences/wav/{dialogue}/{dialogue}_{turn}.wav")
    return Expected(
        {"train": 3, "valid": 3, "test": 3},
        {f"Ses0{session}_{sex}" for session in (1, 4, 5) for sex in "MF"},
        {"neutral": 3, "angry": 3},
        recordings=9,  # F001 is cut from the sound of the dialogue
        texts=9,
        votes={("votes", "Ses01F_impro01_F000"): {"neutral": 3 / 4, "sad": 1 / 4}},
        turns=["Ses01F_impro01_M000", "Ses01F_impro01_F000", "Ses01F_impro01_F001"],
    )


@layout("crema-d")
def cremad(folder: Path) -> Expected:
    clips = ["1001_IEO_NEU_XX", "1002_DFA_ANG_HI", "1003_TSI_HAP_XX", "1004_WSI_SAD_LO", "1005_ITS_FEA_MD"]
    lines = ['"","A","D","F","H","N","S","fileName","numResponses"']
    for number, clip in enumerate(clips, 1):
        lines += [f'"{shown}0000{number}",{shown},0,0,0,1,0,"{clip}",{shown + 1}' for shown in (1, 2, 3)]
        write(folder, f"AudioWAV/{clip}.wav")
        write(folder, f"AudioMP3/{clip}.mp3")
    write(folder, f"VideoFlash/{clips[0]}.flv")
    write(folder, "processedResults/tabulatedVotes.csv", "\n".join(lines) + "\n")
    write(folder, "VideoDemographics.csv", '"ActorID","Age"\n1001,51\n')
    return Expected(
        {"train": 3, "valid": 1, "test": 1},
        {"1001", "1002", "1003", "1004", "1005"},
        {"neutral": 1, "anger": 1, "happiness": 1, "sadness": 1, "fear": 1},
        recordings=5,
        texts=5,
        votes={
            ("votes", clips[0]): {"anger": 3 / 4, "neutral": 1 / 4},
            ("votes_face", clips[0]): {"anger": 2 / 3, "neutral": 1 / 3},
            ("votes_voice", clips[0]): {"anger": 1 / 2, "neutral": 1 / 2},
        },
    )


@layout("mosi")
def mosi(folder: Path) -> Expected:
    write(
        folder,
        "Raw/Labels/OpinionLevelSentiment.csv",
        "0.1,2.5,03bSnISJMiM,1,2.4\n2.6,4,03bSnISJMiM,2,-0.8\n0,1,_dI--eQ6qVU,10,0.0\n",
    )
    write(folder, "Raw/Transcript/Segmented/03bSnISJMiM.annotprocessed", "1_DELIM_ANYHOW IT WAS GOOD\n2_DELIM_BUT SHORT\n")
    write(folder, "Raw/Transcript/Segmented/_dI--eQ6qVU.annotprocessed", "9_DELIM_NOT LABELLED\n10_DELIM_OK\n")
    write(folder, "Raw/Video/Segmented/03bSnISJMiM_1.mp4")
    write(folder, "Raw/Audio/WAV_16000/Segmented/03bSnISJMiM_1.wav")
    write(folder, "Raw/Audio/WAV_16000/Segmented/03bSnISJMiM_2.wav")
    return Expected(
        {"none": 3},
        {"03bSnISJMiM::speaker", "_dI--eQ6qVU::speaker"},
        {"positive": 1, "negative": 1, "neutral": 1},
        target="polarity",
        recordings=2,
        texts=3,
        turns=["03bSnISJMiM_1", "03bSnISJMiM_2"],
    )


@layout("ch-sims")
def sims(folder: Path) -> Expected:
    write(
        folder,
        "label.csv",
        "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
        "video_0001,0002,我不想嫁给李茶,-1.0,-0.8,-0.4,-1.0,Negative,train\nvideo_0001,0001,好,0.6,0.4,0.6,0.8,Positive,test\n"
        "video_0002,0010,嗯,0.0,0.0,0.0,0.0,Neutral,valid\n",
    )
    write(folder, "Raw/video_0001/0001.mp4")
    write(folder, "Raw/video_0002/0001.mp4")
    write(folder, "Raw/video_0002/0010.mp4")
    return Expected(
        {"train": 1, "valid": 1, "test": 1},
        {"video_0001::speaker", "video_0002::speaker"},
        {"negative": 1, "positive": 1, "neutral": 1},
        target="polarity",
        recordings=2,
        texts=3,
        turns=["video_0001_0001", "video_0001_0002"],
    )


@layout("msp-podcast")
def msp_podcast(folder: Path) -> Expected:
    write(
        folder,
        "Labels/labels_consensus.csv",
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
        "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\nMSP-PODCAST_0002_0001.wav,A,5.9,2.5,5.1,31,Female,Train\n"
        "MSP-PODCAST_0002_0003_01.wav,X,3,3,3,Unknown,Unknown,Development\nMSP-PODCAST_0003_0001.wav,C,3,3,4,32,Male,Test2\n",
    )
    write(
        folder,
        "Labels/labels_detailed.csv",
        "FileName,Workers,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom\n"
        'MSP-PODCAST_0001_0008.wav,WORKER1,Neutral,"Neutral,Concerned",2,4,3\nMSP-PODCAST_0001_0008.wav,WORKER2,Other-bored,Other,2,4,3\n'
        "MSP-PODCAST_0002_0001.wav,WORKER1,Angry,Angry,6,2,5\n",
    )
    for name in ("0001_0008", "0002_0001", "0003_0001"):
        write(folder, f"Audios/MSP-PODCAST_{name}.wav")
    write(folder, "Transcripts/MSP-PODCAST_0001_0008.txt", "you know\n")
    return Expected(
        {"train": 1, "valid": 1, "test": 1, "none": 1},
        {"MSP-PODCAST_speaker_30", "MSP-PODCAST_speaker_31", "MSP-PODCAST_speaker_32", "unknown"},
        {"neutral": 1, "angry": 1, "contempt": 1},
        recordings=3,
        texts=1,
        votes={("votes", "MSP-PODCAST_0001_0008"): {"neutral": 1 / 2, "other": 1 / 2}},
        turns=["MSP-PODCAST_0002_0001", "MSP-PODCAST_0002_0003_01"],
    )


@layout("msp-improv")
def msp_improv(folder: Path) -> Expected:
    write(
        folder,
        "Evalution.txt",
        "UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.400000; V:2.200000; D:3.000000 ; N:4.500000;\n"
        "W0001-p1; Angry; Angry,Frustrated; A:4; V:2; D:3; N:5;\nW0002-p1; Surprised; Surprised; A:3; V:2; D:3; N:4;\n\n"
        "UTD-IMPROV-S01A-F01-P-MF02.avi; N; A:2.5; V:3; D:3; N:4;\nW0001-p1; Neutral; Neutral; A:3; V:3; D:3; N:5;\n\n"
        "UTD-IMPROV-S20H-M06-R-MM01.avi; X; A:2; V:4; D:3; N:4;\n\n",
    )
    write(folder, "Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav")
    write(folder, "Video/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.avi")
    write(folder, "Audio/session6/S20H/R/MSP-IMPROV-S20H-M06-R-MM01.wav")
    return Expected(
        {"train": 2, "test": 1},
        {"F01", "M01", "M06"},
        {"angry": 1, "neutral": 1},
        recordings=2,
        votes={("votes", "MSP-IMPROV-S01A-F01-P-FM01"): {"angry": 1 / 2, "other": 1 / 2}},
        turns=["MSP-IMPROV-S01A-F01-P-FM01", "MSP-IMPROV-S01A-F01-P-MF02"],
    )


@layout("emorynlp")
def emorynlp(folder: Path) -> Expected:
    for short, season, emotions in (("trn", 1, ("Joyful", "Mad")), ("dev", 2, ("Neutral",)), ("tst", 3, ("Powerful",))):
        scene = f"s0{season}_e01_c01"
        said = [
            {
                "utterance_id": f"{scene}_u{number:03d}",
                "speakers": ["Monica Geller"] if number == 1 else ["Ross Geller", "Joey Tribbiani"],
                "transcript": "There's nothing to tell!",
                "emotion": emotion,
            }
            for number, emotion in enumerate(emotions, 1)
        ]
        content = {"episodes": [{"episode_id": scene[:7], "scenes": [{"scene_id": scene, "utterances": said}]}]}
        write(folder, f"json/emotion-detection-{short}.json", json.dumps(content))
    return Expected(
        {"train": 2, "valid": 1, "test": 1},
        {"Monica Geller", "Ross Geller and Joey Tribbiani"},
        {"joyful": 1, "mad": 1, "neutral": 1, "powerful": 1},
        texts=4,
        turns=["s01_e01_c01_u001", "s01_e01_c01_u002"],
    )


@layout("m3ed")
def m3ed(folder: Path) -> Expected:
    def said(speaker: str, emotion: str, *raters: str) -> dict[str, object]:
        marks = {f"EmoAnnotator{number}": rater for number, rater in enumerate(raters, 1)}
        return {
            "Speaker": speaker,
            "Text": "你好",
            "StartTime": "00:01:02:03",
            "EmoAnnotation": {**marks, "final_main_emo": emotion},
        }

    people = {"A": {"Name": "林妙妙", "Age": "young"}, "B": {"Name": ""}}
    content = {
        "shaonianpai": {
            "shaonianpai_1": {
                "SpeakerInfo": people,
                "Dialog": {
                    "shaonianpai_1_10": said("B", "Anger", "Anger", "Anger", "Disgust"),
                    "shaonianpai_1_2": said("A", "Happy", "Happy", "Happy", "Happy"),
                },
            }
        },
        "fendou": {"fendou_1": {"SpeakerInfo": people, "Dialog": {"fendou_1_1": said("A", "Neutral", "Neutral", "Sad", "")}}},
    }
    write(folder, "annotation.json", json.dumps(content, ensure_ascii=False))
    write(folder, "splitInfo/movie_list_train.txt", "shaonianpai\n")
    write(folder, "splitInfo/movie_list_val.txt", "\n")
    write(folder, "splitInfo/movie_list_test.txt", "fendou\n")
    write(folder, "audio/A_shaonianpai_1_2.wav")
    return Expected(
        {"train": 2, "test": 1},
        {"shaonianpai/林妙妙", "shaonianpai_1::B", "fendou/林妙妙"},
        {"happy": 1, "anger": 1, "neutral": 1},
        recordings=1,
        texts=3,
        votes={("votes", "shaonianpai_1_10"): {"anger": 2 / 3, "disgust": 1 / 3}},
        turns=["shaonianpai_1_2", "shaonianpai_1_10"],
    )


@layout("wesad")
def wesad(folder: Path) -> Expected:
    rng = np.random.default_rng(0)
    for subject, states in (("S2", (1, 2, 0)), ("S10", (3,))):
        seconds = 60 * len(states)
        label = np.repeat(np.array(states, np.int32), 60 * 700)
        chest = {"ECG": rng.normal(size=(seconds * 700, 1)).astype(np.float32)}
        wrist = {"EDA": rng.normal(size=(seconds * 4, 1)), "ACC": rng.normal(size=(seconds * 32, 3))}
        path = folder / subject / f"{subject}.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(
            pickle.dumps({"subject": subject, "signal": {"chest": chest, "wrist": wrist}, "label": label}, protocol=2)
        )
        write(folder, f"{subject}/{subject}_quest.csv", "# Subj;S2\n")
    return Expected(
        {"none": 3}, {"S2", "S10"}, {"baseline": 1, "stress": 1, "amusement": 1}, target="state", turns=["S2_00000", "S2_00060"]
    )


@layout("emotiontalk")
def emotiontalk(folder: Path) -> Expected:
    names = [
        "G00009/G00009_42/G00009_42_14/G00009_42_14_002",
        "G00009/G00009_42/G00009_42_12/G00009_42_12_001",
        "G00001/G00001_01/G00001_01_07/G00001_01_07_003",
        "G00003/G00003_01/G00003_01_09/G00003_01_09_001",
    ]
    place = "dataset/mm-process"
    emotions = ("neutral", "angry", "happy", "sad")
    for table in ("mm", "audio", "video"):
        suffix = "wav" if table == "audio" else "mp4"
        lines = [f"{name}.{suffix},{emotion}" for name, emotion in zip(names, emotions, strict=True)]
        write(folder, f"{place}/{table}.csv", "\n".join(["file_name,emotion", *lines]) + "\n")
    lines = [f"{name},neutral,[over/]这[/over]是{number}。[laughing]" for number, name in enumerate(names)]
    write(folder, f"{place}/transcription.csv", "\n".join(["name,emotion,chinese", *lines]) + "\n")
    for name in names[:3]:
        write(folder, f"Multimodal/{name}.mp4")
    return Expected(
        {"train": 2, "valid": 1, "test": 1},
        {"actor-14", "actor-12", "actor-07", "actor-09"},
        {"neutral": 1, "angry": 1, "happy": 1, "sad": 1},
        recordings=3,
        texts=4,
        turns=["G00009_42_12_001", "G00009_42_14_002"],
    )


@layout("mahaemotions")
def mahaemotions(folder: Path) -> Expected:
    write(folder, "train.csv", 'Tweet,Label\n"काय, आव्हाड",Anger/Disgust\nरिंगण,Neutral\n')
    write(folder, "validation.csv", "Tweet,Label\nभय इथले संपत नाही,Fear\n")
    write(folder, "test.csv", "Tweet,Label\nलोकांना मारायचं,Respect\n")
    return Expected(
        {"train": 2, "valid": 1, "test": 1},
        {"unknown"},
        {"anger/disgust": 1, "neutral": 1, "fear": 1, "respect": 1},
        texts=4,
        positional=True,
    )


@layout("emonet-voice")
def emonet_voice(folder: Path) -> Expected:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = ["[{'r1': {'Anger': 2}}, {'r2': {'Anger': 0}}]", "[{'r1': {'Jealousy & Envy': 1}}]"]
    (folder / "data").mkdir()
    table = pa.table({"audioId": [b"ID3", b"ID3"], "label": labels})
    pq.write_table(table, folder / "data" / "train-00000.parquet")
    write(folder, "audio/000000.mp3")
    write(folder, "audio/000001_jealousy-and-envy.mp3")
    return Expected(
        {"none": 2},
        {"unknown"},
        {"anger": 1, "jealousy & envy": 1},
        recordings=2,
        votes={("votes", "000000"): {"absent": 1 / 2, "strong": 1 / 2}},
        positional=True,
    )


@layout("raer")
def raer(folder: Path) -> Expected:
    write(folder, "annotation/train.txt", "/data/RAER/video 1/clip_01 120 1\n/data/RAER/video 1/clip_02 99 5\n")
    write(folder, "annotation/test.txt", "D:\\RAER\\video 2\\clip_01 80 3\n")
    write(folder, "clips/video 1/clip_01.mp4")
    write(folder, "clips/video 2/clip_01.mp4")
    return Expected({"train": 2, "test": 1}, {"unknown"}, {"neutrality": 1, "distraction": 1, "confusion": 1}, recordings=2)


@layout("mdpe")
def mdpe(folder: Path) -> Expected:
    for subject in ("001", "002", "003", "004", "005"):
        write(folder, f"labels/{subject}.csv", "a,b,c,label\nq1,x,y,0\nq2,x,y,2\n")
        write(folder, f"videos/{subject}/{subject}-1-a.mp4")
    write(folder, "emotion.csv", "1,2,3\n")
    return Expected(
        {"train": 6, "valid": 2, "test": 2},
        {f"subject-00{number}" for number in range(1, 6)},
        {"truth": 5, "lie": 5},
        target="deception",
        recordings=5,
        turns=["001_1", "001_2"],
        positional=True,
    )


PEOPLE = {f"subject-s{number}" for number in range(1, 11)}


def _described(folder: Path, table: str) -> None:
    rows = (f"c{number},s{number},{'Fear' if number % 2 else 'Joy'}\n" for number in range(1, 11))
    write(folder, table, "id,subject,emotion\n" + "".join(rows))


@layout("mmme")
def mmme(folder: Path) -> Expected:
    _described(folder, "mmme.csv")
    for sensor in ("eda", "eeg"):
        (folder / sensor).mkdir()
        for number in range(1, 10):
            np.save(folder / sensor / f"c{number}.npy", np.ones((10, 2 if sensor == "eeg" else 1), np.float32))
    return Expected({"train": 6, "valid": 2, "test": 2}, PEOPLE, {"fear": 5, "joy": 5}, positional=True)


@layout("headset")
def headset(folder: Path) -> Expected:
    _described(folder, "headset.csv")
    write(folder, "camera1/c1.mp4")
    return Expected({"train": 6, "valid": 2, "test": 2}, PEOPLE, {"fear": 5, "joy": 5}, recordings=1, positional=True)
