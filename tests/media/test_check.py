"""The doctor decodes what an extraction decodes, so that both say the same of every recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from damaged_recordings import DAMAGE, Files
from lacuna.cli import main
from lacuna.media import Limits, Video, check
from lacuna.media.check import check_clips, checkers
from lacuna.media.clips import Clip, clips_of
from lacuna.media.doctor import examine_recordings
from lacuna.media.encode import ClipJob, encode_clip
from lacuna.media.encoders import Encoded, create_encoder
from lacuna.media.encoders.base import VideoEncoder
from lacuna.media.quarantine import FILE, quarantine_table
from media_recordings import needs

Write = Callable[[str, bytes], Path]
LIMITS = Limits(clip_seconds=60)


class Brightness(VideoEncoder):
    """Encode the mean brightness of each picture; a video without pictures has no features."""

    name = source = "brightness"
    rate = 5.0

    def encode(self, video: Video) -> Encoded:
        means = [picture.image.mean() for picture in video if picture.image is not None]
        return Encoded(np.array(means, np.float32)[:, None] if means else None)


@pytest.fixture
def no_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are not looked for, as on a machine without the network for them."""
    monkeypatch.setattr(check, "find", lambda name: None)


@pytest.mark.parametrize("text", [None, "some words"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_outcome_and_reason_are_those_of_the_extraction(
    damage: str, text: str | None, good: Files, write: Write, tmp_path: Path, no_faces: None
) -> None:
    name, make, _, _ = DAMAGE[damage]
    clips = [Clip("a", write(name, make(good)), text=text)]
    encoders = (create_encoder("text", "hashing"), create_encoder("audio", "logmel"), Brightness())[text is None :]
    extracted = encode_clip(ClipJob(clips[0], encoders, tmp_path / "cache", LIMITS))
    checked = check_clips(clips, checkers(), limits=LIMITS)
    assert checked.n_decoded == 1
    pd.testing.assert_frame_equal(quarantine_table(clips, checked.results), quarantine_table(clips, [extracted]))


@pytest.fixture
def recordings(request: pytest.FixtureRequest, good: Files, write: Write, tmp_path: Path) -> Path:
    """A folder of hostile recordings: those that the tests make, or those beside the project."""
    if request.param == "real":
        folder = request.getfixturevalue("shared_data").parent / "cases" / "media"
        if not folder.is_dir():
            pytest.skip("there are no hostile recordings beside the project")
        return Path(folder)
    for number, (damage, (name, make, _, _)) in enumerate(DAMAGE.items()):
        if damage != "wav: a day":  # its features take some seconds
            write(f"hostile/clip{number:02d}{Path(name).suffix}", make(good))
    return tmp_path / "hostile"


@pytest.mark.slow
@needs("face-landmarker")
@pytest.mark.parametrize("recordings", ["made", "real"], indirect=True)
def test_the_commands_agree(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of(recordings).clips
    table = quarantine_table(clips, check_clips(clips, checkers()).results)
    out = ["--out", str(tmp_path / "corpus"), "--cache", str(tmp_path / "cache"), "--workers", "1"]
    done = CliRunner().invoke(main, ["features", str(recordings), *out])
    diagnosis = examine_recordings(recordings)
    assert diagnosis.usable is (done.exit_code == 0)
    if done.exit_code:
        assert diagnosis.errors[0].splitlines()[0] in done.output
        done = CliRunner().invoke(main, ["features", str(recordings), *out, "--max-failed", "0.99"], catch_exceptions=False)
    written = pd.read_csv(tmp_path / "corpus" / FILE, keep_default_na=False)
    assert len(written)
    pd.testing.assert_frame_equal(table, written, check_dtype=False)


def test_after_the_time_limit_files_are_opened_only(good: Files, write: Write, no_faces: None) -> None:
    hole, empty = DAMAGE["mp4: a hole of zeros"][1](good), b""
    clips = [Clip("hole", write("hole.mp4", hole)), Clip("empty", write("empty.wav", empty)), Clip("none", None, text="words")]
    checked = check_clips(clips, checkers(), all_seconds=0)
    assert checked.n_decoded == 0
    table = quarantine_table(clips, checked.results)
    assert table[["id", "modality", "outcome", "kind"]].to_numpy().tolist() == [
        ["hole", "text", "absent", "no_text"],
        ["empty", "text", "quarantined", "no_text"],
        ["empty", "audio", "quarantined", "empty"],
        ["empty", "vision", "quarantined", "empty"],
        ["none", "audio", "absent", "no_file"],
        ["none", "vision", "absent", "no_file"],
    ]


def test_a_track_that_takes_too_long_gets_no_verdict(good: Files, write: Write, no_faces: None) -> None:
    clips = [Clip("a", write("a.mp4", DAMAGE["mp4: a hole of zeros"][1](good))), Clip("b", write("b.wav", good["wav"]))]
    checked = check_clips(clips, checkers(), limits=Limits(wait=-1))  # over before the first packet
    assert checked.n_decoded == 0
    assert quarantine_table(clips, checked.results)["kind"].tolist() == ["no_track"]  # of the picture of b.wav
