"""Find faces and their expression with the three networks of MediaPipe's face landmarker, run by LiteRT.

Detector -> rotated crop -> 478 landmarks -> 52 blendshapes, as MediaPipe does with single pictures. The numbers are those of
the graphs ``face_detector_graph.cc``, ``face_landmarks_detector_graph.cc`` and ``face_blendshapes_graph.cc`` of MediaPipe
(Apache-2.0). References: Bazarevsky et al., BlazeFace, 2019; Grishchenko et al., Attention Mesh, 2020.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.media.assets import require

# fmt: off
BLENDSHAPES = (
    "neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
_FOR_BLENDSHAPES = np.array([  # the landmarks that the third network reads
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82, 84,
    87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159,
    160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
    284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361,
    362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415,
    454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])
# fmt: on
_RIGHT_EYE, _LEFT_EYE, _FOREHEAD, _CHIN = 33, 263, 10, 152  # landmarks
_DETECT, _OVERLAP, _PRESENT, _MARGIN = 0.5, 0.3, 0.5, 1.5
_INPUT, _CROP = 128, 256  # pixels of the squares that the first two networks read


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes:
        landmarks: (478, 3) float32; x and y in pixels of the picture, z in the same unit.
        blendshapes: (52,) float32 in [0, 1], in the order of :data:`BLENDSHAPES`.
        presence: probability that the crop holds a face.
    """

    landmarks: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    presence: float

    @property
    def pose(self) -> NDArray[np.float32]:
        """(3,) float32 yaw, pitch and roll of the head in radians, from the axes between eyes, forehead and chin."""
        across = self.landmarks[_LEFT_EYE] - self.landmarks[_RIGHT_EYE]
        down = self.landmarks[_CHIN] - self.landmarks[_FOREHEAD]
        across, down = (axis / max(float(np.linalg.norm(axis)), 1e-6) for axis in (across, down))
        yaw, roll = np.arctan2(across[2], np.hypot(across[0], across[1])), np.arctan2(across[1], across[0])
        pitch = np.arctan2(down[2], np.hypot(down[0], down[1]))
        return np.array([yaw, pitch, roll], np.float32)


@dataclass(frozen=True)
class _Square:
    """A rotated crop: centre and half sides in pixels, angle in radians."""

    x: float
    y: float
    half_width: float
    half_height: float
    angle: float


class FaceLandmarker:
    """The three networks, single-threaded, so that results do not depend on the machine's load.

    Args:
        content: bytes of the ``.task`` file.
    """

    def __init__(self, content: zipfile.ZipFile) -> None:
        self._detector, self._landmarks, self._blendshapes = (
            _Network(content.read(f"{name}.tflite")) for name in ("face_detector", "face_landmarks_detector", "face_blendshapes")
        )
        cells = [((np.arange(n * n) % n + 0.5) / n, (np.arange(n * n) // n + 0.5) / n, repeat) for n, repeat in ((16, 2), (8, 6))]
        self._anchors = np.concatenate([np.repeat(np.stack([x, y], 1), repeat, axis=0) for x, y, repeat in cells])  # (896, 2)

    def detect(self, image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        """Return the faces of a picture, the largest first.

        Args:
            image: (height, width, 3) uint8 RGB.

        Returns:
            One (8, 2) array a face: centre, size, and six points (right eye, left eye, nose, mouth, ears), in pixels.
        """
        height, width = image.shape[:2]
        side = max(height, width)
        square = _Square(width / 2, height / 2, side / 2, side / 2, 0.0)
        small = _sampled(image, square, _INPUT, "zeros") / 127.5 - 1
        raw, logits = self._detector(small[None], (896, 16), (896, 1))
        score = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))
        boxes = raw.reshape(896, 8, 2).astype(np.float64)  # (896, 16) -> centre, size and six points as (x, y)
        boxes /= _INPUT
        boxes[:, [0, 2, 3, 4, 5, 6, 7]] += self._anchors[:, None]
        kept = _suppressed(boxes[score >= _DETECT], score[score >= _DETECT])
        for points in kept:
            points[:] *= side
            points[[0, 2, 3, 4, 5, 6, 7]] -= np.array([side - width, side - height]) / 2
        return sorted(kept, key=lambda box: -float(box[1].prod()))

    def describe(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> Face | None:
        """Return landmarks and blendshapes of a detected face, or ``None`` if the crop holds no face after all.

        Args:
            image: (height, width, 3) uint8 RGB.
            box: (8, 2) of :meth:`detect`, in pixels.
        """
        (x, y), (half_width, half_height) = box[0], box[1] * _MARGIN / 2
        square = _Square(x, y, half_width, half_height, _angle(box[2], box[3]))
        landmarks, presence = self._mesh(image, square)
        if presence < _PRESENT:
            return None
        points = landmarks[_FOR_BLENDSHAPES, :2]
        (shapes,) = self._blendshapes(points[None].astype(np.float32), (52,))
        return Face(landmarks.astype(np.float32), shapes.astype(np.float32), presence)

    def _mesh(self, image: NDArray[np.uint8], square: _Square) -> tuple[NDArray[np.float64], float]:
        """Return (478, 3) landmarks in pixels of the picture and the probability of a face."""
        crop = _sampled(image, square, _CROP, "border") / np.float32(255)
        raw, logit = self._landmarks(crop[None], (1434,), (1, 1, 1))
        points = raw.reshape(478, 3).astype(np.float64) / _CROP * 2  # (1434,) -> x, y in [0, 2] of the crop, and z
        x, y = (points[:, 0] - 1) * square.half_width, (points[:, 1] - 1) * square.half_height
        cos, sin = np.cos(square.angle), np.sin(square.angle)
        placed = np.stack([square.x + cos * x - sin * y, square.y + sin * x + cos * y, points[:, 2] * square.half_width], axis=1)
        return placed, float(1 / (1 + np.exp(-float(logit[0, 0, 0]))))


class _Network:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._content = content  # the interpreter does not keep it alive
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = self._interpreter.get_output_details()

    def __call__(self, value: NDArray[np.float32], *shapes: tuple[int, ...]) -> list[NDArray[np.float32]]:
        """Return the outputs of these shapes, without the first axis of size 1; of equal shapes the first one."""
        self._interpreter.set_tensor(self._input, value)
        self._interpreter.invoke()
        results: list[NDArray[np.float32]] = []
        for shape in shapes:
            for detail in self._outputs:
                found = tuple(int(n) for n in detail["shape"])
                if found in {shape, (1, *shape), (1, 1, 1, *shape)}:
                    results.append(self._interpreter.get_tensor(detail["index"]).reshape(shape))
                    break
        return results


def _suppressed(boxes: NDArray[np.float64], score: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Merge overlapping detections to their mean, weighted by score; (n, 8, 2) -> a list of (8, 2)."""
    kept = []
    left = np.argsort(-score, kind="stable")
    low, high = boxes[:, 0] - boxes[:, 1] / 2, boxes[:, 0] + boxes[:, 1] / 2
    area = np.clip(high - low, 0, None).prod(axis=1)
    while len(left):
        best = left[0]
        shared = np.clip(np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]), 0, None).prod(axis=1)
        overlap = shared / np.maximum(area[best] + area[left] - shared, 1e-12)
        same = overlap > _OVERLAP
        same[0] = True
        weight = score[left[same]][:, None, None]
        kept.append((boxes[left[same]] * weight).sum(axis=0) / weight.sum())
        left = left[~same]
    return kept


def _angle(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the angle of the line from the right to the left eye, in radians."""
    x, y = second - first
    return float(np.arctan2(y, x))


def _sampled(image: NDArray[np.uint8], square: _Square, side: int, border: str) -> NDArray[np.float32]:
    """Return a rotated square of a picture, sampled as by MediaPipe with ``warpPerspective`` of OpenCV.

    Pixel i of the result is taken at i / side of the square and not at (i + 1/2) / side, whole coordinates of the picture are
    the middles of its pixels, and colours are rounded to whole numbers. The landmarks depend on each of these.

    Args:
        image: (height, width, 3) uint8 RGB.
        square: in pixels of the picture.
        side: pixels of the result.
        border: what is outside of the picture: ``zeros`` = black, ``border`` = the nearest pixel.

    Returns:
        (side, side, 3) float32 whole numbers from 0 to 255.
    """
    reach = float(np.hypot(square.half_width, square.half_height)) + 2
    height, width = image.shape[:2]
    left, right = (int(np.clip(np.floor(square.x + s * reach), 0, width)) for s in (-1, 1))
    top, bottom = (int(np.clip(np.floor(square.y + s * reach), 0, height)) for s in (-1, 1))
    if left >= right or top >= bottom:
        return np.zeros((side, side, 3), np.float32)
    part = torch.from_numpy(np.ascontiguousarray(image[top:bottom, left:right])).permute(2, 0, 1)[None].float()
    at = np.arange(side) / side * 2 - 1  # (side,) from -1 on
    across, down = np.meshgrid(at * square.half_width, at * square.half_height)  # (side, side) each
    cos, sin = np.cos(square.angle), np.sin(square.angle)
    x = (square.x + cos * across - sin * down - left) / max(right - left - 1, 1) * 2 - 1
    y = (square.y + sin * across + cos * down - top) / max(bottom - top - 1, 1) * 2 - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))[None]  # (1, side, side, 2)
    pixels = torch.nn.functional.grid_sample(part, grid, mode="bilinear", padding_mode=border, align_corners=True)
    return np.ascontiguousarray(pixels[0].round().permute(1, 2, 0).numpy())  # (3, side, side) -> (side, side, 3)


@lru_cache(maxsize=1)
def face_landmarker() -> Any:
    """Return the networks, loaded once a process."""
    with zipfile.ZipFile(require("face-landmarker", "encoder 'blendshapes'")) as content:
        return FaceLandmarker(content)
