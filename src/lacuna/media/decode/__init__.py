"""Read the sound and the picture of a recording on one clock, with bounds on time and memory.

Time 0 is the first presentation time of the recording, for all tracks. A track that begins later, a gap, and a part that
cannot be decoded are *not observed*: they are neither zero nor shifted. Requires the extra ``media`` (PyAV).

``container`` opens a file, ``window`` decodes the part of a track that a clip needs, ``sound`` and ``picture`` put the result on
the clock of the clip.
"""

from lacuna.media.decode.container import SUFFIXES, Limits, Tracks, inspect
from lacuna.media.decode.picture import Picture, Video
from lacuna.media.decode.sound import RATE, Audio, read_audio

__all__ = ["RATE", "SUFFIXES", "Audio", "Limits", "Picture", "Tracks", "Video", "inspect", "read_audio"]
