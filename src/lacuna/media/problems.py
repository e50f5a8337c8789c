"""What can be wrong with a recording, as values that go into the quarantine table."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.errors import LacunaError

KINDS = {
    "no_file": "there is no such file",
    "empty": "the file has no bytes",
    "unreadable": "the container cannot be read",
    "no_track": "the recording has no such track",
    "no_samples": "no sample or frame of the track can be decoded",
    "outside": "the clip begins behind the end of the recording",
    "truncated": "the recording ends before the promised time",
    "corrupt": "parts of the track cannot be decoded; they count as not observed",
    "late": "the track begins later than the clip; the time before counts as not observed",
    "too_long": "the clip is longer than the limit",
    "too_large": "the picture is larger than the limit",
    "too_slow": "decoding took longer than the limit",
    "silent": "the audio track is silent",
    "clipped": "many samples are at full scale",
    "sampling": "the sampling rate is below 8 kHz, so that high frequencies are missing, or not credible",
    "no_face": "no face was found in a part of the frames",
    "several_faces": "several faces were found; the largest one was used",
    "no_text": "there is no transcript",
    "text_speed": "the transcript does not fit the duration of the clip",
    "too_many_words": "the transcript is longer than the encoder reads",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a clip.

    Attributes:
        kind: one of :data:`KINDS`.
        reason: a sentence with the numbers.
        fatal: whether the modality is absent because of it.
    """

    kind: str
    reason: str
    fatal: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of problem {self.kind!r}")


class MediaError(LacunaError):
    """A track of a recording cannot be used.

    Args:
        kind: one of :data:`KINDS`.
        reason: a sentence with the numbers.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = Problem(kind, reason, fatal=True)
