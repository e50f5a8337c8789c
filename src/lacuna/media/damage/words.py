"""Damage to the transcript."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.errors import ConfigError
from lacuna.media.damage.base import DAMAGES, TextDamage


@DAMAGES.register("words-lost")
@dataclass(frozen=True, kw_only=True)
class WordsLost(TextDamage):
    """Remove a share of the words, as a poor speech recogniser does.

    Attributes:
        share: chance of each word to be removed, in [0, 1]; words that a smaller share removes are removed by a larger one too.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"damage 'words-lost': share is in [0, 1], found {self.share:g}\n  do: write e.g. words-lost:0.3")

    def apply(self, text: str, clip: str) -> str:
        """Return the words that are left, with single spaces."""
        words = text.split()
        drawn = self.generator(clip).random(len(words))
        return " ".join(word for word, chance in zip(words, drawn, strict=True) if chance >= self.share)
