"""Damage to recordings before encoding: what is changed, what is drawn, the cache, and what the corpus says of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lacuna.cli import main
from lacuna.corpus import open_corpus
from lacuna.errors import ConfigError
from lacuna.media import Audio, Picture, Video, extract
from lacuna.media.damage import (
    Damage,
    PictureDamage,
    SoundDamage,
    TextDamage,
    damage_sound,
    damage_text,
    damages_of,
    list_damages,
)
from lacuna.media.damage.picture import DamagedVideo
from lacuna.media.decode import RATE
from lacuna.media.problems import MediaError
from media_recordings import glide, movie_bytes, wav_bytes

SETTINGS = {
    "sound-lost": "sound-lost:0.7",
    "sound-silent": "sound-silent:0.7",
    "telephone": "telephone",
    "noise": "noise:5",
    "picture-lost": "picture-lost:0.7",
    "picture-black": "picture-black:0.7",
    "words-lost": "words-lost:0.5",
}
TEXT = "the quick brown fox jumps over the lazy dog and runs away from here"
ENCODE = {"text": "hashing", "audio": "logmel", "vision": None}


def sound(seconds: float = 2.0) -> Audio:
    samples = glide(seconds)
    return Audio(samples, np.ones(len(samples), np.bool_))


def result(damage: Damage, clip: str) -> np.ndarray:
    """What a damage makes of a clip, as one array."""
    if isinstance(damage, TextDamage):
        return np.array([word in damage.apply(TEXT, clip).split() for word in TEXT.split()])
    if isinstance(damage, SoundDamage):
        damaged = damage.apply(sound(), clip)
        return np.concatenate([damaged.samples, damaged.observed])
    assert isinstance(damage, PictureDamage)
    pictures = [damage.apply(Picture(t, np.full((2, 2, 3), 9, np.uint8)), clip, 2.0) for t in np.arange(0.05, 2, 0.1)]
    return np.array([-1 if p.image is None else int(p.image.max()) for p in pictures])


@pytest.mark.parametrize("name", list_damages())
def test_the_result_depends_on_seed_clip_and_settings_only(name: str) -> None:
    (damage,) = damages_of([SETTINGS[name]])
    (again,) = damages_of([SETTINGS[name]])
    (other,) = damages_of([SETTINGS[name]], seed=1)
    draws = name != "telephone"
    assert np.array_equal(result(damage, "a"), result(again, "a"))
    assert np.array_equal(result(damage, "a"), result(damage, "b")) is not draws
    assert np.array_equal(result(damage, "a"), result(other, "a")) is not draws
    assert damage.describe() == f"{SETTINGS[name]} seed=0"


@pytest.mark.parametrize("name", list_damages())
def test_the_input_is_not_changed(name: str) -> None:
    (damage,) = damages_of([SETTINGS[name]])
    if isinstance(damage, SoundDamage):
        audio = sound()
        before = audio.samples.copy(), audio.observed.copy()
        damaged = damage.apply(audio, "a")
        assert np.array_equal(audio.samples, before[0])
        assert np.array_equal(audio.observed, before[1])
        assert damaged.samples.shape == audio.samples.shape
        assert damaged.samples.dtype == np.float32


@pytest.mark.parametrize(("name", "told"), [("sound-lost", True), ("sound-silent", False)])
def test_a_part_of_the_sound_is_gone(name: str, told: bool) -> None:
    (damage,) = damages_of([f"{name}:0.5"])
    damaged = damage_sound([damage], sound(), "a")
    assert (damaged.samples == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert (~damaged.observed).mean() == pytest.approx(0.25 if told else 0, abs=0.001)


def test_the_telephone_keeps_its_band() -> None:
    at = np.arange(RATE) / RATE
    tones = [100, 1000, 6000]
    samples = sum(0.2 * np.sin(2 * np.pi * hertz * at) for hertz in tones).astype(np.float32)
    (damage,) = damages_of(["telephone"])
    spectrum = np.abs(np.fft.rfft(damage_sound([damage], Audio(samples, np.ones(RATE, np.bool_)), "a").samples)) / RATE * 2
    assert spectrum[tones] == pytest.approx([0, 0.2, 0], abs=0.005)


@pytest.mark.parametrize("decibels", [20, 5])
def test_noise_has_the_ratio(decibels: int) -> None:
    audio = sound()
    (damage,) = damages_of([f"noise:{decibels}"])
    noise = damage_sound([damage], audio, "a").samples - audio.samples
    assert 10 * np.log10((audio.samples**2).mean() / (noise**2).mean()) == pytest.approx(decibels, abs=0.1)


def test_a_larger_share_removes_the_same_words_and_more() -> None:
    kept = [result(damages_of([f"words-lost:{share}"])[0], "a") for share in (0, 0.3, 0.6, 1)]
    assert kept[0].all()
    assert not kept[3].any()
    assert all((more <= less).all() for less, more in pairwise(kept))
    assert damage_text(damages_of(["words-lost:1"]), None, "a") is None


@pytest.mark.parametrize(("name", "value"), [("picture-lost", -1), ("picture-black", 0)])
def test_a_part_of_the_picture_is_gone(name: str, value: int, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(movie_bytes(audio=False))
    damages = damages_of([f"{name}:0.8"])
    pictures = list(DamagedVideo(Video(tmp_path / "a.mp4", rate=10), damages, "a", 2.0))
    values = np.array([-1 if p.image is None else p.image.max() for p in pictures])
    start = float(damages[0].generator("a").random()) * 1.2
    inside = np.array([start <= p.time < start + 0.8 for p in pictures])
    assert inside.sum() == 8
    assert (values[inside] == value).all()
    assert (values[~inside][1:] > 0).all()


def test_nothing_left_is_told() -> None:
    with pytest.raises(MediaError, match="the damage removed all of the sound"):
        damage_sound(damages_of(["sound-lost:9"]), sound(), "a")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("noize:3", "unknown damage 'noize'.*did you mean 'noise'"),
        ("noise", "is written noise:DECIBELS, found 'noise'"),
        ("telephone:3", "is written telephone, found"),
        ("noise:loud", "decibels is a number, found 'loud'"),
        ("words-lost:1.2", r"share is in \[0, 1\]"),
        ("sound-lost:0", "seconds is above 0"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        damages_of([setting])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings with transcripts."""
    monkeypatch.setenv("LACUNA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine"
    path.mkdir()
    for name in "ab":
        (path / f"{name}.wav").write_bytes(wav_bytes(glide(2)))
        (path / f"{name}.txt").write_text(TEXT)
    return path


def test_a_damaged_corpus_says_so_and_keeps_the_clean_cache(folder: Path) -> None:
    clean = extract(folder, ENCODE).corpus
    damaged = extract(folder, ENCODE, damage=["sound-lost:0.5", "words-lost:0.5"]).corpus
    assert damaged.modalities == clean.modalities  # a model of the clean corpus reads it
    assert "damaged before the features were computed: sound-lost:0.5 seed=0, words-lost:0.5 seed=0" in damaged.provenance.notes
    audio = damaged.frames["audio"]
    assert audio.observed is not None
    assert 6 <= (~audio.observed).sum() <= 10  # of 40 frames of 0.1 s, two gaps of 0.5 s
    assert not np.array_equal(damaged.frames["text"].of(0), clean.frames["text"].of(0))
    assert len(str(damaged.transcripts[0])) < len(TEXT)
    again = extract(folder, ENCODE).corpus
    assert np.array_equal(again.frames["audio"].values, clean.frames["audio"].values)


def test_clips_with_the_same_sound_get_other_damage(folder: Path) -> None:
    corpus = extract(folder, ENCODE, damage=["sound-silent:1"]).corpus
    assert not np.array_equal(corpus.frames["audio"].of(0), corpus.frames["audio"].of(1))


def test_silence_quarantines_the_sound(folder: Path) -> None:
    table = extract(folder, ENCODE, damage=["sound-silent:5"]).quarantine
    assert table[["modality", "outcome", "kind"]].drop_duplicates().to_numpy().tolist() == [["audio", "absent", "silent"]]


def test_the_command(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    how = ["--text", "hashing", "--vision", "none", "--damage", "noise:0", "--damage-seed", "3", "--workers", "1"]
    done = CliRunner().invoke(main, ["features", str(folder), "--out", str(out), *how])
    assert done.exit_code == 0, done.output
    assert "damaged before the features were computed: noise:0 seed=3" in open_corpus(out).provenance.notes
    refused = CliRunner().invoke(main, ["features", str(out), "--out", str(tmp_path / "other"), "--damage", "noise:0"])
    assert refused.exit_code == 1
    assert "--damage has nothing to damage" in refused.output
