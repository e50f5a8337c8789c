"""The generated recordings: what is in them, that they repeat, and the way from them to predictions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lacuna
from lacuna.errors import ConfigError
from lacuna.media import extract, inspect
from lacuna.media.generated import EMOTIONS, Settings, generate
from lacuna.media.generated.corpus import dialogue
from lacuna.media.generated.face import Expression, Looks, draw
from lacuna.media.turns import TurnRule, find_turns, speech, spread
from media_recordings import needs

SMALL = Settings(dialogues=5, turns=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("generated"), SMALL)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "recordings.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_table_has_labels_and_splits_and_test_speakers_are_unseen(folder: Path) -> None:
    table = rows(folder)
    assert len(table) == 10
    assert {row["split"] for row in table} == {"train", "valid", "test"}
    assert {row["emotion"] for row in table} <= {*EMOTIONS}
    assert not {row["speaker"] for row in table if row["split"] == "test"} & {
        row["speaker"] for row in table if row["split"] != "test"
    }


def test_equal_settings_give_equal_sound_and_pictures() -> None:
    first, second = (next(iter(dialogue(1, "train", SMALL))) for _ in range(2))
    np.testing.assert_array_equal(first.sound, second.sound)
    np.testing.assert_array_equal(first.pictures, second.pictures)
    other = next(iter(dialogue(1, "train", Settings(seed=1))))
    assert first.sound.tobytes() != other.sound.tobytes()


def test_the_times_of_the_table_are_where_somebody_speaks(folder: Path) -> None:
    for name in ("scene000", "scene003"):
        table = [(float(row["start"]), float(row["end"])) for row in rows(folder) if row["dialogue"] == name]
        np.testing.assert_allclose(find_turns(folder / f"{name}.mp4"), table, atol=0.1)


@needs("silero-vad")
def test_silero_finds_the_same_turns(folder: Path) -> None:
    table = [(float(row["start"]), float(row["end"])) for row in rows(folder) if row["dialogue"] == "scene000"]
    np.testing.assert_allclose(find_turns(folder / "scene000.mp4", "silero"), table, atol=0.35)


@needs("face-landmarker")
def test_the_face_landmarker_sees_the_drawn_face_and_its_smile() -> None:
    from lacuna.media.face_landmarker import face_landmarker

    looks = Looks((0.87, 0.68, 0.56), (0.20, 0.13, 0.09), (0.30, 0.45, 0.55), 0.47, 0.5)
    smiles = []
    for smile in (0.0, 1.0):
        image = draw(looks, Expression(smile=smile))
        (box,) = face_landmarker().detect(image)
        face = face_landmarker().describe(image, box)
        assert face is not None
        smiles.append(face.blendshapes[44:46].mean())  # mouthSmileLeft, mouthSmileRight
    assert smiles[1] > smiles[0] + 0.3


def test_too_few_dialogues_are_refused() -> None:
    with pytest.raises(ConfigError, match="dialogues >= 5"):
        Settings(dialogues=4)


def test_recordings_are_cut_into_turns_of_one_dialogue(folder: Path, tmp_path: Path) -> None:
    extraction = extract(
        folder / "scene000.mp4", {"text": None, "audio": "functionals", "vision": None}, turns="energy", cache=tmp_path
    )
    corpus = extraction.corpus
    assert corpus.ids == ["scene000-0000", "scene000-0001"]
    assert corpus.utterances.turn.tolist() == [0, 1]
    assert len(set(corpus.utterances.dialogue.tolist())) == 1
    assert extraction.clips[0].end < extraction.clips[1].start


def test_frames_carry_times_on_the_clock_of_the_clip(folder: Path, tmp_path: Path) -> None:
    corpus = extract(folder, {"text": {"name": "hashing"}, "audio": "logmel", "vision": None}, cache=tmp_path).corpus
    assert corpus.frames["text"].times is None or np.isnan(corpus.frames["text"].times).all()  # one vector: the whole clip
    times, count = corpus.frames["audio"].times, corpus.frames["audio"].count
    assert times is not None
    np.testing.assert_allclose(times[: count[0]], (np.arange(count[0]) + 0.5) / 10, rtol=1e-6)


def test_long_speech_is_cut_where_it_is_least_likely() -> None:
    likely = np.ones(3000)
    likely[1400:1410] = 0.6
    turns = speech(likely, TurnRule(longest=20.0, margin=0.0))
    assert len(turns) == 2
    assert turns[0][1] == turns[1][0] == pytest.approx(14.05, abs=0.1)


def test_words_are_spread_over_speech_and_not_over_pauses() -> None:
    assert spread(3, [(2.0, 5.0)]).tolist() == [2.5, 3.5, 4.5]
    assert np.isnan(spread(3, [])).all()


def test_silence_has_no_turn(tmp_path: Path) -> None:
    assert speech(np.zeros(500)) == []


@pytest.mark.slow
@needs("minilm-weights", "face-landmarker")
def test_from_recordings_to_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features, training and prediction on generated recordings, every modality with its default encoder."""
    source = generate(tmp_path / "recordings", Settings(dialogues=15, turns=4))
    extraction = extract(source, cache=tmp_path / "cache")
    corpus = extraction.corpus
    assert [m.name for m in corpus.modalities] == ["text", "audio", "vision"]
    assert len(corpus) == 60
    absent = {m: sum(counts.values()) for m, counts in corpus.absences().items()}
    assert absent == {"text": 0, "audio": 4, "vision": 8}
    model = lacuna.create_model("linear").fit(corpus, seed=0, epochs=30)
    score = model.score(corpus)
    assert score.value > score.baseline + 0.2
    table = model.predict(source / "scene004.mp4", options={"turns": "energy", "cache": tmp_path / "cache"})
    assert len(table) == 4
    assert (table["absent"] == "text").all()
    assert (table["start"].diff().dropna() > 0).all()
    assert isinstance(table, pd.DataFrame)
    assert inspect(source / "scene006.mp4").video is False
