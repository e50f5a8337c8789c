"""Expression and pose of the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.decode import Video
from lacuna.media.encoders.base import ENCODERS, Encoded, VideoEncoder
from lacuna.media.problems import Problem


@ENCODERS.register("blendshapes")
@dataclass(frozen=True)
class Blendshapes(VideoEncoder):
    """Return 52 blendshapes and yaw, pitch and roll of the largest face; a frame without a face is not observed.

    Attributes:
        rate: pictures a second; ``None`` = every frame, at its own time.
    """

    version = 2
    dim = 55
    assets = ("face-landmarker",)
    source = "MediaPipe face landmarker, Apache-2.0"
    rate: float | None = 5.0

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 60:
            raise ConfigError(
                f"encoder 'blendshapes': rate is in (0, 60] pictures a second, found {self.rate!r}\n  do: correct rate"
            )

    def load(self) -> None:
        """Load the networks."""
        from lacuna.media.face_landmarker import face_landmarker

        face_landmarker()

    def encode(self, video: Video) -> Encoded:
        """Return (T, 55) features."""
        from lacuna.media.face_landmarker import face_landmarker

        networks = face_landmarker()
        rows: list[np.ndarray | None] = []
        times: list[float] = []
        n_pictures = n_several = 0
        for picture in video:
            row = None
            if picture.image is not None:
                n_pictures += 1
                boxes = networks.detect(picture.image)
                face = networks.describe(picture.image, boxes[0]) if boxes else None
                n_several += face is not None and len(boxes) > 1
                row = None if face is None else np.concatenate([face.blendshapes, face.pose])
            rows.append(row)
            times.append(picture.time)
        observed = np.array([row is not None for row in rows], np.bool_)
        problems = list(_problems(n_pictures, int(observed.sum()), n_several))
        if not observed.any():
            return Encoded(None, problems=tuple(problems))
        nothing = np.zeros(self.dim, np.float32)
        values = np.stack([nothing if row is None else row for row in rows])  # (T, 55)
        return Encoded(values, observed, tuple(problems), np.array(times, np.float32) if self.rate is None else None)


def _problems(n_pictures: int, n_faces: int, n_several: int) -> list[Problem]:
    problems = []
    if n_faces < n_pictures or not n_faces:
        problems.append(Problem("no_face", f"a face in {n_faces} of {n_pictures} pictures", fatal=not n_faces))
    if n_several:
        problems.append(Problem("several_faces", f"several faces in {n_several} of {n_pictures} pictures; the largest was used"))
    return problems
