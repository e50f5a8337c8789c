"""Draw a face with an expression: shaded shapes on a plain ground, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 128  # pixels a side
_BEND = 0.13  # of brows and lids


@dataclass(frozen=True)
class Looks:
    """What does not change in a speaker's face.

    Attributes:
        skin: RGB in [0, 1].
        hair: RGB in [0, 1].
        iris: RGB in [0, 1].
        width: of the head, in halves of the picture.
        light: side from which the light comes, in [-1, 1].
    """

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    width: float
    light: float


@dataclass(frozen=True)
class Expression:
    """Position of the parts of a face; 0 is at rest, 1 the strongest.

    Attributes:
        smile: corners of the mouth up; negative = down.
        open: mouth open.
        brow: brows up; negative = down.
        frown: inner ends of the brows down; negative = up.
        lids: eyes wide; negative = narrow, -1 = closed.
        turn: head turned to the side, in [-1, 1].
        nod: head up; negative = down.
    """

    smile: float = 0.0
    open: float = 0.0
    brow: float = 0.0
    frown: float = 0.0
    lids: float = 0.0
    turn: float = 0.0
    nod: float = 0.0


def draw(looks: Looks, expression: Expression, size: int = SIZE) -> NDArray[np.uint8]:
    """Return the picture of a face: (size, size, 3) uint8 RGB.

    Args:
        looks: of the speaker.
        expression: at this moment.
        size: pixels a side.
    """
    e = expression
    grid = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = grid[None, :] - 0.05 * e.turn, grid[:, None] + 0.05 * e.nod  # right and down, in [-1, 1]
    plane = _Plane(x, y)
    canvas = _Canvas(np.full((size, size, 3), 0.62) - 0.12 * y[..., None], 2.0 / size)
    w, h = looks.width, 0.62
    skin, hair = np.array(looks.skin), np.array(looks.hair)
    canvas.paint(plane.ellipse(0.0, 1.05, 0.75, 0.40), np.array([0.25, 0.30, 0.45]))  # shoulders
    canvas.paint(plane.ellipse(0.0, 0.62, 0.20, 0.30), skin * 0.72)  # neck
    canvas.paint(plane.ellipse(0.0, -0.20, w * 1.14, h * 0.98), hair)
    inside = np.clip(1 - ((x - 0.0) / w) ** 2 - (y / h) ** 2, 0, 1)  # height of the head as a half ellipsoid
    shade = 0.62 + 0.38 * np.sqrt(inside) + 0.16 * looks.light * x / w - 0.05 * y
    canvas.paint(plane.ellipse(0.0, 0.0, w, h), skin * shade[..., None])
    canvas.paint(plane.ellipse(0.0, -0.58, w * 0.93, 0.20), hair)
    shift = 0.10 * e.turn  # what is in front moves more than the outline
    for side in (-1, 1):
        cx, cy = side * 0.40 * w + shift, -0.10
        canvas.blend(plane.ellipse(cx, cy - 0.01, 0.155, 0.105), skin * 0.62, 0.55)  # socket
        opening = 0.050 * (1 + 0.7 * e.lids)
        if opening > 0.006:
            eye = plane.ellipse(cx, cy, 0.105, opening)
            canvas.paint(eye, np.array([0.96, 0.95, 0.93]))
            gaze = cx + 0.02 * e.turn
            canvas.paint(np.maximum(plane.ellipse(gaze, cy, 0.050, 0.050), eye), np.array(looks.iris))
            canvas.paint(np.maximum(plane.ellipse(gaze, cy, 0.024, 0.024), eye), np.full(3, 0.05))
            canvas.paint(np.maximum(plane.ellipse(gaze + 0.016, cy - 0.016, 0.009, 0.009), eye), np.full(3, 1.0))
        lid = cy - opening
        canvas.blend(plane.brow(cx, lid, 0.115, 0.012, tilt=0.0), np.full(3, 0.16), 0.9)
        height = cy - 0.150 - 0.050 * e.brow
        canvas.paint(plane.brow(cx, height, 0.150, 0.024, tilt=-side * 0.42 * e.frown), hair * 0.7)
    canvas.blend(plane.ellipse(shift * 1.3, 0.06, 0.035, 0.16), np.minimum(skin * 1.15, 1), 0.55)  # bridge of the nose
    canvas.blend(plane.ellipse(shift * 1.5, 0.165, 0.085, 0.050), skin * 0.80, 0.6)
    for side in (-1, 1):
        canvas.paint(plane.ellipse(shift * 1.5 + side * 0.042, 0.185, 0.022, 0.013), skin * 0.38)
    mouth_x, mouth_y, mouth_w = shift * 1.2, 0.335, 0.175 * (1 + 0.22 * max(0.0, e.smile) - 0.15 * e.open)
    bend = -0.32 * e.smile  # in heights a squared half width
    gap = 0.012 + 0.085 * e.open
    along = (x - mouth_x) / mouth_w
    curve = mouth_y + bend * 0.30 * (along**2 - 0.5)
    lips = np.abs(y - curve) - (gap + 0.036) * np.sqrt(np.clip(1 - along**2, 0, 1))
    canvas.paint(np.where(np.abs(along) < 1, lips, 1.0), skin * np.array([0.80, 0.50, 0.50]))
    hole = np.abs(y - curve) - gap * np.sqrt(np.clip(1 - along**2, 0, 1))
    canvas.paint(np.where(np.abs(along) < 1, hole, 1.0), np.array([0.22, 0.06, 0.07]))
    if e.open > 0.25:
        teeth = np.maximum(hole, y - (curve - gap * 0.35))
        canvas.paint(np.where(np.abs(along) < 0.8, teeth, 1.0), np.array([0.92, 0.90, 0.86]))
    return (np.clip(canvas.image, 0, 1) * 255 + 0.5).astype(np.uint8)


class _Canvas:
    """A picture that shapes are painted on; an edge is one pixel wide."""

    def __init__(self, image: NDArray[np.float64], pixel: float) -> None:
        self.image, self.pixel = image, pixel

    def paint(self, distance: NDArray[np.float64], colour: NDArray[np.float64]) -> None:
        """Paint where the signed distance to the edge of a shape is negative."""
        self.blend(distance, colour, 1.0)

    def blend(self, distance: NDArray[np.float64], colour: NDArray[np.float64], opacity: float) -> None:
        """Paint with an opacity below 1; the edge is softer."""
        soft = self.pixel * (1 if opacity == 1 else 4)
        cover = opacity * np.clip(0.5 - distance / soft, 0, 1)  # (size, size)
        rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
        if not len(rows):
            return
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        share = cover[part][..., None]
        own = colour[part] if colour.ndim == 3 else colour
        self.image[part] += share * (own - self.image[part])


@dataclass(frozen=True)
class _Plane:
    """The points of a picture, right and down.

    Attributes:
        x: (1, size).
        y: (size, 1).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> NDArray[np.float64]:
        """Return the signed distance to an ellipse, about right near the edge: (size, size)."""
        radius = np.sqrt(((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2)
        return np.asarray((radius - 1) * min(rx, ry))

    def brow(self, cx: float, cy: float, half: float, thick: float, *, tilt: float) -> NDArray[np.float64]:
        """Return the signed distance to a stroke whose ends hang down: (size, size); ``tilt`` is its slope."""
        along = np.clip((self.x - cx) / half, -1, 1)
        middle = cy + tilt * (self.x - cx) + _BEND * half * (along**2 - 0.3)
        outside = np.maximum(np.abs(self.x - cx) - half, 0)
        across = np.maximum(np.abs(self.y - middle) - thick, 0)
        return np.asarray(np.hypot(across, outside) - thick * 0.15 - 0.002 * (outside == 0))
