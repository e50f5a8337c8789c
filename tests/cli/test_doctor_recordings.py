"""`lacuna doctor` on recordings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lacuna.cli import main
from media_recordings import glide, movie_bytes, wav_bytes


def doctor(path: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor", str(path)], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("corpus", "names"),
    [
        ("crema-d", ["1001_DFA_ANG_XX", "1002_DFA_SAD_XX"]),
        ("ravdess", ["03-01-05-01-02-01-12", "03-01-03-01-02-01-02"]),
        ("emodb", ["03a01Fa", "16b10Wb"]),
        ("meld", ["dia0_utt0", "dia0_utt1"]),
        ("iemocap", ["Ses01F_impro01_F000", "Ses01F_impro01_M000"]),
    ],
)
def test_files_tracks_durations_names_and_the_next_command(tmp_path: Path, corpus: str, names: list[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.wav").write_bytes(wav_bytes(glide(0.5)))
    code, output = doctor(folder)
    assert code == 0
    assert f"the names follow the rule of {corpus}" in output
    assert "files: wav 2" in output
    assert "tracks: sound in 2, picture in 0" in output
    assert "0.5 to 0.5 s a file" in output
    assert f"lacuna features {folder} --out mine_corpus" in output


def test_what_cannot_be_read_is_named_and_long_recordings_are_to_be_cut(tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(wav_bytes(glide(61)))
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    code, output = doctor(tmp_path)
    assert code == 0
    assert "warning: broken: quarantined (broken.mp4 is no recording that can be read" in output
    assert "decoded: 2 of 2 clips as far as they can be read (at most 5 s of decoding a track, no clip after 60 s)" in output
    assert "--turns energy" in output
    assert "no labels" in output


def test_a_folder_of_broken_files_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    code, output = doctor(tmp_path)
    assert code == 1
    assert "error: 1 of 1 clips have no modality that can be used: unreadable 2" in output


def test_a_damaged_part_and_silence_are_named_with_their_reasons(tmp_path: Path) -> None:
    movie = bytearray(movie_bytes("mp4"))
    movie[len(movie) * 3 // 10 : len(movie) * 6 // 10] = bytes(len(movie) * 6 // 10 - len(movie) * 3 // 10)
    (tmp_path / "hole.mp4").write_bytes(bytes(movie))
    (tmp_path / "silent.wav").write_bytes(wav_bytes(glide(1) * 0))
    code, output = doctor(tmp_path)
    assert code == 0
    assert re.search(r"warning: hole: audio partly \(\d+ packets? of the audio track cannot be decoded", output)
    assert "warning: silent: quarantined (the level is -120 dB; silence is below -60 dB" in output
