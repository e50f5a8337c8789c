"""Encoders: one module each; modules of this folder are discovered automatically."""

from lacuna.media.encoders.base import (
    ENCODERS,
    AudioEncoder,
    Encoded,
    FeatureEncoder,
    TextEncoder,
    VideoEncoder,
    create_encoder,
    list_encoders,
)

__all__ = [
    "ENCODERS",
    "AudioEncoder",
    "Encoded",
    "FeatureEncoder",
    "TextEncoder",
    "VideoEncoder",
    "create_encoder",
    "list_encoders",
]
