"""Compare the blendshapes with those of MediaPipe 0.10.30, picture by picture and blendshape by blendshape.

    pip install mediapipe==0.10.30    # into another environment; Lacuna does not need it
    python benchmarks/blendshapes.py clip.mp4 ...

A correlation over the pictures of a clip says nothing of a blendshape that hardly changes in it. So each is listed with its
standard deviation, and the summary counts those whose standard deviation is at least 0.01 (their range is 0 to 1).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacuna.media import Video
from lacuna.media.assets import require
from lacuna.media.face_landmarker import BLENDSHAPES, face_landmarker

MOVES = 0.01  # least standard deviation of a blendshape that counts


def compare(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the blendshapes of MediaPipe and of Lacuna for the pictures in which both find a face: (T, 52) each."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    weights = BaseOptions(model_asset_path=str(require("face-landmarker", "this benchmark")))
    options = vision.FaceLandmarkerOptions(base_options=weights, output_face_blendshapes=True, num_faces=1)
    networks, theirs, ours = face_landmarker(), [], []
    with vision.FaceLandmarker.create_from_options(options) as reference:
        for picture in Video(path, rate=None):
            if picture.image is None:
                continue
            image = np.ascontiguousarray(picture.image)
            found = reference.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image))
            boxes = networks.detect(picture.image)
            face = networks.describe(picture.image, boxes[0]) if boxes else None
            if found.face_blendshapes and face is not None:
                theirs.append([one.score for one in found.face_blendshapes[0]])
                ours.append(face.blendshapes)
    return np.array(theirs, np.float64), np.array(ours, np.float64)


def main() -> None:
    """Print a table for each clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    for path in parser.parse_args().clips:
        theirs, ours = compare(path)
        print(f"\n{path.name}: {len(ours)} pictures with a face in both")
        print("| blendshape | correlation | standard deviation | mean difference | mean absolute difference |")
        print("|---|---|---|---|---|")
        spread, error = theirs.std(axis=0), ours - theirs
        with np.errstate(invalid="ignore", divide="ignore"):
            centred = (theirs - theirs.mean(axis=0)) * (ours - ours.mean(axis=0))
            correlation = centred.mean(axis=0) / (spread * ours.std(axis=0))
        for at in np.argsort(-spread):
            numbers = f"{correlation[at]:.3f} | {spread[at]:.4f} | {error[:, at].mean():+.4f} | {np.abs(error[:, at]).mean():.4f}"
            print(f"| {BLENDSHAPES[at]} | {numbers} |")
        moving = correlation[spread >= MOVES]
        pictures = [np.corrcoef(a, b)[0, 1] for a, b in zip(theirs, ours, strict=True)]
        print(
            f"{len(moving)} blendshapes move: correlation median {np.median(moving):.3f}, least {moving.min():.3f}, "
            f"{(moving >= 0.98).sum()} of at least .98, {(moving >= 0.95).sum()} of at least .95; "
            f"over the 52 numbers of a picture: median {np.median(pictures):.3f}, least {min(pictures):.3f}; "
            f"mean absolute difference {np.abs(error).mean():.4f}"
        )


if __name__ == "__main__":
    main()
