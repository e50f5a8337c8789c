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

REPAIRS = {  # by kind, what a user can do; for the kinds that reading a recording raises
    "no_file": "correct the path; a path in a table of clips starts at the folder of the table",
    "empty": "copy or download the file again",
    "unreadable": "copy or download the file again, or convert it, e.g. ffmpeg -i FILE new.mp4",
    "no_track": "leave this modality out, or use a recording that has it",
    "no_samples": "if a player plays the file, convert it, e.g. ffmpeg -i FILE new.mp4; otherwise get an intact copy",
    "outside": "correct start and end, in seconds of the recording",
    "too_large": "scale the picture down, or raise the limit (pixels of lacuna.media.Limits)",
    "too_slow": "give start and end of shorter parts, or raise the limit (wait of lacuna.media.Limits)",
    "sampling": "get an intact copy, or convert the file, e.g. ffmpeg -i FILE -ar 16000 new.wav",
    "no_text": "write a transcript, or leave text out",
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
    """A track of a recording cannot be used. The attribute ``problem`` is a fatal :class:`Problem`.

    Args:
        kind: one of :data:`REPAIRS`.
        reason: a sentence with the numbers.
        hint: what to do, if it is not the repair of the kind.

    >>> print(MediaError("empty", "a.wav has no bytes"))
    a.wav has no bytes
      do: copy or download the file again
    """

    def __init__(self, kind: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{reason}\n  do: {hint or REPAIRS[kind]}")
        self.problem = Problem(kind, reason, fatal=True)
