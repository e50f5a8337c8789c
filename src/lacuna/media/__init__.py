"""From recordings to a corpus: decode, encode, quarantine. Requires the extra ``media``."""

from lacuna.media.clips import clips_of, is_recordings
from lacuna.media.decode import Audio, Limits, Picture, Tracks, Video, inspect, read_audio
from lacuna.media.extract import Extraction, encode_texts, encoders_of, encoders_of_modalities, extract
from lacuna.media.problems import MediaError, Problem

__all__ = [
    "Audio",
    "Extraction",
    "Limits",
    "MediaError",
    "Picture",
    "Problem",
    "Tracks",
    "Video",
    "clips_of",
    "encode_texts",
    "encoders_of",
    "encoders_of_modalities",
    "extract",
    "inspect",
    "is_recordings",
    "read_audio",
]
