"""Any picture network of the hub: CLIP, DINOv2, SigLIP, ViT, ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.media.decode import Video
from lacuna.media.encoders.base import ENCODERS, Encoded, VideoEncoder
from lacuna.media.hub import HubSettings, preprocessing
from lacuna.media.problems import Problem

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 224  # pixels, if the network does not say
_MARGIN = 1.4  # of the box of a face


@ENCODERS.register("hub-vision")
@dataclass(frozen=True)
class HubVision(HubSettings, VideoEncoder):
    """Return one vector a picture: the mean over its patches in a frozen network.

    Attributes:
        rate: pictures a second.
        crop: ``picture`` = the whole picture; ``face`` = the largest face, and a picture without one is not observed.
    """

    source = "a network of the Hugging Face hub; its licence is on its page"
    version = 2
    rate: float | None = 2.0
    crop: str = "picture"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is None or not 0 < self.rate <= 60 or self.crop not in ("picture", "face"):
            raise ConfigError(
                "encoder 'hub-vision': rate is in (0, 60] pictures a second, and crop is 'picture' or 'face'; "
                f"found {self.rate!r} and {self.crop!r}\n  do: correct them"
            )

    def prepare(self) -> None:
        """Check that the weights are there; ``crop="face"`` needs those of the face landmarker too."""
        super().prepare()
        if self.crop == "face":
            from lacuna.media.assets import require

            require("face-landmarker", "crop 'face' of encoder 'hub-vision'")

    def load(self) -> None:
        """Load the network, and with ``crop="face"`` those of the face landmarker."""
        super().load()
        if self.crop == "face":
            from lacuna.media.face_landmarker import face_landmarker

            face_landmarker()

    def encode(self, video: Video) -> Encoded:
        """Return (T, d) features."""
        import torch

        network = self.network()
        rows: list[NDArray[np.float32] | None] = []
        n_pictures = 0
        for picture in video:
            image = picture.image
            n_pictures += image is not None
            if image is not None and self.crop == "face":
                image = _face(image)
            if image is None:
                rows.append(None)
                continue
            with torch.inference_mode():
                hidden = network(pixel_values=self._pixels(image), output_hidden_states=True).hidden_states
            rows.append(self.chosen(hidden).mean(dim=0).numpy())
        observed = np.array([row is not None for row in rows], np.bool_)
        problems = []
        if observed.sum() < n_pictures:
            reason = f"a face in {observed.sum()} of {n_pictures} pictures"
            problems.append(Problem("no_face", reason, fatal=not observed.any()))
        shown = [row for row in rows if row is not None]
        if not shown:
            return Encoded(None, problems=tuple(problems))
        nothing = np.zeros_like(shown[0])
        values = np.stack([nothing if row is None else row for row in rows])
        return Encoded(values.astype(np.float32), observed, tuple(problems))

    def _pixels(self, image: NDArray[np.uint8]) -> Tensor:
        """Return (1, 3, side, side): the middle square of a picture, scaled as the network was trained."""
        import torch
        from torch.nn import functional

        given = preprocessing(self.model, self.revision)
        size: Any = given.get("crop_size") or given.get("size") or getattr(self.network().config, "image_size", _SIDE)
        if isinstance(size, dict):
            size = size.get("height") or size.get("shortest_edge") or _SIDE
        side = int(size)
        edge = min(image.shape[:2])
        top, left = (image.shape[0] - edge) // 2, (image.shape[1] - edge) // 2
        square = torch.from_numpy(image[top : top + edge, left : left + edge].copy()).permute(2, 0, 1)[None].float() / 255
        scaled = functional.interpolate(square, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        mean, std = (torch.tensor(given.get(key) or [0.5] * 3).view(1, 3, 1, 1) for key in ("image_mean", "image_std"))
        return (scaled - mean) / std


def _face(image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the largest face of a picture, with a margin; ``None`` without one."""
    from lacuna.media.face_landmarker import face_landmarker

    boxes = face_landmarker().detect(image)
    if not boxes:
        return None
    (x, y), half = boxes[0][0], boxes[0][1] * _MARGIN / 2
    high, wide = image.shape[:2]
    low_x, high_x = max(0, int(x - half[0])), min(wide, int(x + half[0]) + 1)
    low_y, high_y = max(0, int(y - half[1])), min(high, int(y + half[1]) + 1)
    return image[low_y:high_y, low_x:high_x] if low_x < high_x and low_y < high_y else None
