"""Words and word pairs, hashed to a vector: needs no weights and no package."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.encoders.base import ENCODERS, Encoded, TextEncoder

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[!?]")


@ENCODERS.register("hashing")
@dataclass(frozen=True)
class Hashing(TextEncoder):
    """Return one vector a transcript: signed counts of words and word pairs, ``1 + log(count)``, of length 1.

    There is no inverse document frequency: it would have to be fitted on the training split, and an encoder sees one clip.
    Reference: Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009.

    Attributes:
        pairs: count pairs of neighbouring words as well.
    """

    dim = 512
    source = "part of Lacuna"
    pairs: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.pairs, bool):
            raise ConfigError(f"encoder 'hashing': pairs is true or false, found {self.pairs!r}\n  do: correct pairs")

    def encode(self, text: str) -> Encoded:
        """Return (1, 512) features."""
        words = _WORD.findall(text.lower())
        terms = Counter(words)
        if self.pairs:
            terms.update(f"{first} {second}" for first, second in pairwise(words))
        vector = np.zeros(self.dim)
        for term, count in sorted(terms.items()):
            number = int.from_bytes(hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "little")
            vector[(number >> 1) % self.dim] += (1 if number & 1 else -1) * (1 + np.log(count))
        length = np.linalg.norm(vector)
        return Encoded((vector / (length or 1)).astype(np.float32)[None])
