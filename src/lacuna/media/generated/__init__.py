"""A generated audio-visual corpus: drawn faces that speak, with sentences and labels, for demonstrations and tests."""

from lacuna.media.generated.corpus import EMOTIONS, Settings, generate

__all__ = ["EMOTIONS", "Settings", "generate"]
