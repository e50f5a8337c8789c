"""Placeholder."""

from lacuna.models.base import Recognizer
from lacuna.models.config import Maci
from lacuna.models.parts.wrapped import Wrapped


class Causal(Wrapped):
    """Placeholder."""

    def __init__(self, inner: Recognizer, maci: Maci) -> None:
        super().__init__(inner)
