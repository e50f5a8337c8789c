"""Decode clips as an extraction does, and keep nothing of them: what an extraction will say of each clip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacuna.media.assets import find
from lacuna.media.clips import Clip
from lacuna.media.decode import Audio, Limits, Video, inspect
from lacuna.media.encode import ClipResult, encode_uncached
from lacuna.media.encoders.base import AudioEncoder, Encoded, FeatureEncoder, TextEncoder, VideoEncoder, create_encoder
from lacuna.media.extract import DEFAULTS, needed_encoders
from lacuna.media.problems import MediaError

TRACK_SECONDS, ALL_SECONDS = 5.0, 60.0  # of wall time


@dataclass(frozen=True)
class Checked:
    """The result of :func:`check_clips`.

    Attributes:
        results: N results without features, in the order of the clips.
        n_decoded: number of clips of which every track was decoded to its end or to what cannot be read. A track of another clip
            counts as usable, unless its file cannot be opened.
    """

    results: list[ClipResult]
    n_decoded: int


def checkers() -> tuple[FeatureEncoder, ...]:
    """Return an encoder for each modality that finds what is wrong with a clip and costs little.

    Faces are looked for if the network for them is on this machine. Transcripts are not divided into tokens, so that one that is
    too long for its encoder is not noticed.
    """
    picture = create_encoder("vision", DEFAULTS["vision"]) if looks_for_faces() else _Picture()
    return _Transcript(), _Sound(), picture


def looks_for_faces() -> bool:
    """Return whether the network of the default encoder of the picture is on this machine.

    Raises:
        ConfigError: its file is damaged.
    """
    return all(find(name) for name in create_encoder("vision", DEFAULTS["vision"]).assets)


def check_clips(
    clips: Sequence[Clip],
    encoders: Sequence[FeatureEncoder],
    *,
    limits: Limits | None = None,
    all_seconds: float = ALL_SECONDS,
) -> Checked:
    """Return what an extraction says of clips.

    Args:
        clips: N clips.
        encoders: at most one a modality, see :func:`checkers`.
        limits: bounds of decoding; a track that takes longer than ``wait`` gets no verdict. Default: those of an extraction, with
            a ``wait`` of :data:`TRACK_SECONDS`.
        all_seconds: wall time of the check, after which no further clip is decoded; its file is opened only.
    """
    encoders = needed_encoders(encoders, clips)
    limits, deadline = limits or Limits(wait=TRACK_SECONDS), time.monotonic() + all_seconds
    results, n_decoded = [], 0
    for clip in clips:
        in_time = time.monotonic() < deadline
        encoded = {e.modality: encode_uncached(clip, e, limits) if in_time else _opened(clip, e) for e in encoders}
        cut = [name for name, one in encoded.items() if any(problem.kind == "too_slow" for problem in one.problems)]
        encoded |= dict.fromkeys(cut, _USABLE)
        n_decoded += in_time and not cut
        files = {name: Path() for name, one in encoded.items() if one.values is not None}
        results.append(ClipResult(files, {name: one.problems for name, one in encoded.items()}, digest=""))
    return Checked(results, n_decoded)


_USABLE = Encoded(np.zeros((1, 1), np.float32))


def _opened(clip: Clip, encoder: FeatureEncoder) -> Encoded:
    """Return whether a file can be opened; a transcript is read, and so is the reason why a row without a file has no sound."""
    if isinstance(encoder, TextEncoder) or clip.path is None:
        return encode_uncached(clip, encoder, Limits())
    try:
        inspect(clip.path)
    except MediaError as error:
        return Encoded(None, problems=(error.problem,))
    return _USABLE


class _Transcript(TextEncoder):
    """Read a transcript and keep nothing of it."""

    name = source = "check"

    def encode(self, text: str) -> Encoded:
        return _USABLE


class _Sound(AudioEncoder):
    """Read the sound and keep nothing of it."""

    name = source = "check"

    def encode(self, audio: Audio) -> Encoded:
        return _USABLE


class _Picture(VideoEncoder):
    """Decode the pictures and keep nothing of them."""

    name = source = "check"
    rate = 5.0

    def encode(self, video: Video) -> Encoded:
        n_pictures = sum(picture.image is not None for picture in video)
        return _USABLE if n_pictures else Encoded(None)
