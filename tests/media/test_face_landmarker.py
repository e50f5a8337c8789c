"""Sampling of pictures for the networks of the face landmarker, and agreement of blendshapes with MediaPipe."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lacuna.media import Video
from lacuna.media.face_landmarker import _sampled, _Square, face_landmarker
from media_recordings import needs

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "blendshapes.py"


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)


def test_the_whole_picture_is_returned_as_it_is(picture: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(_sampled(picture, _Square(8, 8, 8, 8, 0.0), 16, "zeros"), picture)


def test_a_smaller_picture_has_every_second_pixel_as_in_opencv(picture: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(_sampled(picture, _Square(8, 8, 8, 8, 0.0), 8, "zeros"), picture[::2, ::2])


def test_colours_are_rounded_to_whole_numbers(picture: NDArray[np.uint8]) -> None:
    between = _sampled(picture, _Square(8.5, 8, 8, 8, 0.0), 16, "border")[:, :15]
    means = (picture[:, :-1].astype(float) + picture[:, 1:]) / 2
    assert (between == between.round()).all()
    assert np.abs(between - means).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("border", ["zeros", "border"])
def test_outside_of_the_picture(picture: NDArray[np.uint8], border: str) -> None:
    shifted = _sampled(picture, _Square(6, 11, 8, 8, 0.0), 16, border)
    width = ((0, 3), (2, 0), (0, 0))
    padded = np.pad(picture, width, "edge" if border == "border" else "constant")
    np.testing.assert_array_equal(shifted, padded[3:, :16])


def test_a_half_turn(picture: NDArray[np.uint8]) -> None:
    turned = _sampled(picture, _Square(8, 8, 8, 8, np.pi), 16, "zeros")
    np.testing.assert_array_equal(turned[1:, 1:], picture[::-1, ::-1][:15, :15])


@pytest.mark.slow
@needs("face-landmarker")
@pytest.mark.parametrize(
    ("name", "faces", "pictures"), [("single_face.mp4", 72, 72), ("WolfgangLanger_Pexels.mp4", 472, 472), ("no_face.mp4", 0, 95)]
)
def test_faces_in_real_recordings(shared_data: Path, name: str, faces: int, pictures: int) -> None:
    networks, found = face_landmarker(), []
    for picture in Video(shared_data / "media" / name, rate=None):
        assert picture.image is not None
        boxes = networks.detect(picture.image)
        found.append(bool(boxes) and networks.describe(picture.image, boxes[0]) is not None)
    assert (sum(found), len(found)) == (faces, pictures)


@pytest.mark.slow
@needs("face-landmarker")
@pytest.mark.parametrize(("name", "least"), [("single_face.mp4", 0.98), ("WolfgangLanger_Pexels.mp4", 0.95)])
def test_blendshapes_are_those_of_mediapipe(shared_data: Path, name: str, least: float) -> None:
    """MediaPipe 0.10.30 is no dependency: without it the test is skipped."""
    pytest.importorskip("mediapipe")
    theirs, ours = runpy.run_path(str(BENCHMARK))["compare"](shared_data / "media" / name)
    moves = theirs.std(axis=0) >= 0.01
    correlation = [np.corrcoef(theirs[:, at], ours[:, at])[0, 1] for at in np.flatnonzero(moves)]
    assert len(correlation) > 25
    assert min(correlation) >= least
