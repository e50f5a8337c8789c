"""`lacuna doctor` on recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lacuna.cli import main
from media_recordings import glide, wav_bytes


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
    assert "warning: broken.mp4 is no recording that can be read" in output
    assert "--turns energy" in output
    assert "no labels" in output


def test_a_folder_of_broken_files_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    code, output = doctor(tmp_path)
    assert code == 1
    assert "none of 1 recordings can be read" in output
