"""From recordings to a corpus: tables, names, cache, workers, quarantine, prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import lacuna
from lacuna.cli import main
from lacuna.corpus import Corpus, open_corpus
from lacuna.errors import ConfigError, DataError
from lacuna.media import Limits, encode_texts, extract
from lacuna.media import encode as encode_module
from lacuna.media.clips import Clip
from lacuna.media.encode import ClipJob, encode_clip
from lacuna.media.encoders import Encoded, TextEncoder, create_encoder
from media_recordings import glide, movie_bytes, wav_bytes

ENCODE = {"text": "hashing", "audio": "logmel", "vision": None}
TABLE = """id,file,start,end,text,dialogue,turn,speaker,split,emotion
a1,a.wav,0,1,I am happy,a,0,x,train,joy
a2,a.wav,1,2.5,,a,1,y,train,anger
b1,b.mkv,,,I am sad,b,0,x,test,
c1,,,,only a text,c,0,z,test,joy
d1,broken.mp4,,,,d,0,z,test,joy
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings, a broken one, and a table of five clips."""
    path = tmp_path / "mine"
    path.mkdir()
    (path / "a.wav").write_bytes(wav_bytes(glide(3)))
    (path / "b.mkv").write_bytes(movie_bytes("mkv", video=False))
    (path / "broken.mp4").write_bytes(b"nothing")
    (path / "recordings.csv").write_text(TABLE)
    return path


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACUNA_CACHE", str(tmp_path / "cache"))


def content(corpus: Corpus) -> list[object]:
    frames = [corpus.frames[m.name] for m in corpus.modalities]
    return [corpus.ids, corpus.modalities, *[(f.values.tobytes(), f.count.tolist(), str(f.observed)) for f in frames]]


def test_a_table_of_clips_becomes_a_corpus(folder: Path) -> None:
    corpus = extract(folder, ENCODE).corpus
    assert corpus.ids == ["a1", "a2", "b1", "c1"]
    assert corpus.schema().dims == {"text": 512, "audio": 83}
    assert corpus.frames["audio"].count.tolist() == [10, 15, 20, 0]
    assert corpus.frames["text"].count.tolist() == [1, 0, 1, 1]
    assert corpus.utterances.split.tolist() == [0, 0, 2, 2]
    assert corpus.target().classes == ("anger", "joy")
    assert corpus.utterances.labels["emotion"].tolist() == [1, 0, -1, 1]
    assert corpus.modalities[1].extractor == "logmel/1 rate=10.0"
    assert str(folder.parent) not in str(corpus.provenance)


def test_what_is_wrong_is_in_the_quarantine_table(folder: Path) -> None:
    table = extract(folder, ENCODE).quarantine.set_index(["id", "modality"])
    assert table.loc[("d1", "audio")].to_dict() == {
        "file": "broken.mp4",
        "outcome": "quarantined",
        "kind": "unreadable",
        "reason": "broken.mp4 is no recording that can be read (InvalidDataError)",
    }
    assert table["outcome"].to_dict() == {
        ("a2", "text"): "absent",
        ("c1", "audio"): "absent",
        ("d1", "text"): "quarantined",
        ("d1", "audio"): "quarantined",
    }


def test_too_many_failures_stop_the_run(folder: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 5 clips have no modality that can be used: .*unreadable 1"):
        extract(folder, ENCODE, max_failed=0.1)


def test_the_number_of_workers_does_not_change_a_bit(folder: Path, tmp_path: Path) -> None:
    one = extract(folder, ENCODE, cache=tmp_path / "one", workers=1).corpus
    two = extract(folder, ENCODE, cache=tmp_path / "two", workers=2).corpus
    assert content(one) == content(two)


def test_a_second_run_encodes_nothing_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = extract(folder, ENCODE).corpus
    monkeypatch.setattr(encode_module, "encode_uncached", lambda *_: pytest.fail("a clip was encoded again"))
    assert content(extract(folder, ENCODE).corpus) == content(first)


@pytest.mark.parametrize("change", ["recording", "part", "setting", "damaged cache"])
def test_what_changed_is_encoded_again(folder: Path, tmp_path: Path, change: str) -> None:
    first = extract(folder, ENCODE).corpus
    encode: dict[str, object] = dict(ENCODE)
    if change == "recording":
        (folder / "a.wav").write_bytes(wav_bytes(glide(3, level=0.1)))
    elif change == "part":
        (folder / "recordings.csv").write_text(TABLE.replace("a.wav,0,1", "a.wav,0.5,1"))
    elif change == "setting":
        encode["audio"] = {"name": "logmel", "rate": 20}
    else:
        for path in (tmp_path / "cache").rglob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:50])
    again = extract(folder, encode).corpus  # type: ignore[arg-type]
    assert (content(again) == content(first)) is (change == "damaged cache")


def test_the_first_clip_loads_all_networks_once(tmp_path: Path) -> None:
    """Processes whose memory grows after their first clip would be restarted, and load everything again."""
    loaded = []

    @dataclass(frozen=True)
    class Large(TextEncoder):
        name, source, width = "large", "this test", 3

        def load(self) -> None:
            loaded.append(self.width)

        def encode(self, text: str) -> Encoded:
            return Encoded(np.zeros((1, self.width), np.float32))

    for number in range(2):
        (tmp_path / f"{number}.wav").write_bytes(wav_bytes(glide(0.3)))
        clip = Clip(str(number), tmp_path / f"{number}.wav")
        done = encode_clip(ClipJob(clip, (create_encoder("audio", "logmel"), Large()), tmp_path, Limits()))
        assert list(done.files) == ["audio"]
    assert loaded == [3]


def test_an_interrupted_run_continues(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, calls = encode_module.encode_uncached, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(encode_module, "encode_uncached", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(folder, ENCODE)
    finished = extract(folder, ENCODE).corpus
    assert len(calls) == 3 + 1 + 5  # eight tasks, three of them before the interruption
    monkeypatch.undo()
    assert content(extract(folder, ENCODE, cache=folder / "other").corpus) == content(finished)


@pytest.mark.parametrize(
    ("names", "speakers", "emotions"),
    [
        (["1001_DFA_ANG_XX", "1002_DFA_SAD_XX"], ["1001", "1002"], ["anger", "sadness"]),
        (["03-01-05-01-02-01-12", "03-01-03-01-02-01-02"], ["12", "02"], ["anger", "happiness"]),
        (["03a01Fa", "16b10Wb"], ["03", "16"], ["happiness", "anger"]),
    ],
)
def test_names_of_well_known_corpora_are_read(tmp_path: Path, names: list[str], speakers: list[str], emotions: list[str]) -> None:
    for name in names:
        (tmp_path / "known").mkdir(exist_ok=True)
        (tmp_path / "known" / f"{name}.wav").write_bytes(wav_bytes(glide(0.3)))
    corpus = extract(tmp_path / "known", ENCODE).corpus
    found = {
        i: (s, e) for i, s, e in zip(corpus.ids, corpus.utterances.speaker, corpus.utterances.labels["emotion"], strict=True)
    }
    classes, speaker_names = corpus.target().classes, corpus.utterances.speaker_names.to_pylist()
    assert [speaker_names[found[name][0]] for name in names] == speakers
    assert [classes[found[name][1]] for name in names] == emotions


def test_without_a_table_a_file_is_an_utterance_and_a_text_file_its_transcript(tmp_path: Path) -> None:
    (tmp_path / "f" / "sub").mkdir(parents=True)
    (tmp_path / "f" / "one.wav").write_bytes(wav_bytes(glide(0.5)))
    (tmp_path / "f" / "one.txt").write_text("Hello there")
    (tmp_path / "f" / "sub" / "one.wav").write_bytes(wav_bytes(glide(0.7)))
    corpus = extract(tmp_path / "f", ENCODE).corpus
    assert dict(zip(corpus.ids, corpus.transcripts, strict=True)) == {"one": "Hello there", "sub/one": None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("a.wav,0,1", "a.wav,1,0"), "a clip has no length"),
        (("a.wav,0,1", "a.wav,zero,1"), "'start' is no number of seconds"),
        (("c1,,,,only a text", "c1,,,,"), "neither a file nor a text"),
        (("a2,", "a1,"), "an id occurs twice"),
    ],
)
def test_malformed_tables_are_refused(folder: Path, change: tuple[str, str], message: str) -> None:
    (folder / "recordings.csv").write_text(TABLE.replace(*change))
    with pytest.raises(DataError, match=message):
        extract(folder, ENCODE)


def test_wrong_modalities_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'audio'"):
        extract(folder, {"audios": "logmel"})


def test_transcripts_get_text_features_in_any_corpus(folder: Path) -> None:
    corpus = extract(folder, ENCODE).corpus
    encoded = encode_texts(corpus, {"name": "hashing", "pairs": False})
    assert encoded.modalities[0].extractor == "hashing/1 pairs=false"
    assert encoded.frames["text"].count.tolist() == corpus.frames["text"].count.tolist()
    assert encoded.frames["audio"] is corpus.frames["audio"]
    words = encode_texts(corpus, "hashing").frames["text"]
    np.testing.assert_array_equal(words.values, corpus.frames["text"].values)


def test_loading_a_folder_of_recordings_is_extracting(folder: Path) -> None:
    corpus = lacuna.load_corpus(folder, encode=ENCODE, split="given")
    assert content(corpus) == content(extract(folder, ENCODE).corpus)


def test_loading_any_corpus_can_encode_its_transcripts(folder: Path, tmp_path: Path) -> None:
    extract(folder, ENCODE, out=tmp_path / "corpus")
    corpus = lacuna.load_corpus(tmp_path / "corpus", encode={"text": {"name": "hashing", "pairs": False}}, split="given")
    assert corpus.modalities[0].extractor == "hashing/1 pairs=false"
    with pytest.raises(ConfigError, match="no recordings to encode"):
        lacuna.load_corpus(tmp_path / "corpus", encode={"audio": "logmel"})


def test_features_train_and_predict_on_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["id,file,split,emotion"]
    for index in range(12):
        low, level = index % 2, (0.02, 0.5)[index % 2]
        (folder / f"c{index}.wav").write_bytes(wav_bytes(glide(0.5, level=level)))
        rows.append(f"c{index},c{index}.wav,{('train', 'valid', 'test')[index // 2 % 3]},{('calm', 'loud')[low]}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    corpus, run_folder = str(tmp_path / "corpus"), str(tmp_path / "runs")
    assert "12 utterances (audio 83)" in run("features", str(folder), "--out", corpus, "--vision", "none", "--workers", "1")
    assert (tmp_path / "corpus" / "quarantine.csv").is_file()
    assert len(open_corpus(Path(corpus))) == 12
    settings = ("--models", "linear", "--epochs", "30", "--set", "learning_rate=0.05")
    run("train", corpus, "--runs", run_folder, "--name", "a", *settings)
    out = tmp_path / "answers.csv"
    (folder / "recordings.csv").unlink()
    run("predict", f"{run_folder}/a", str(folder), "--out", str(out))
    answers = pd.read_csv(out)
    assert (answers["predicted"] == [("calm", "loud")[int(i[1:]) % 2] for i in answers["id"]]).all()
    single = lacuna.load_model(Path(run_folder) / "a").predict(folder / "c1.wav")
    assert single["predicted"].tolist() == ["loud"]
