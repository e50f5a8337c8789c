"""Which words each utterance holds: from the transcripts, or from token ids where there is no text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.errors import DataError

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


@dataclass(frozen=True, eq=False)
class Spoken:
    """The words of N utterances, each word once an utterance: said three times in a row it is one observation.

    Attributes:
        names: V words, sorted; token ids as text where there are no transcripts.
        row: (P,) int64 utterance of each (utterance, word) pair, ascending.
        word: (P,) int64 its word.
        utterances: N.
    """

    names: tuple[str, ...]
    row: NDArray[np.int64]
    word: NDArray[np.int64]
    utterances: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """(V,) in how many utterances each word occurs."""
        return np.bincount(self.word, minlength=len(self.names))

    def only(self, words: NDArray[np.bool_]) -> Spoken:
        """The same utterances with nothing but some words; ``words`` is (V,) bool."""
        code = np.cumsum(words) - 1
        kept = words[self.word]
        names = tuple(name for name, keep in zip(self.names, words.tolist(), strict=True) if keep)
        return Spoken(names, self.row[kept], code[self.word[kept]], self.utterances)


def words_of(corpus: Corpus) -> Spoken:
    """Read the words of a corpus.

    Args:
        corpus: with transcripts, or with token ids beside the frames of a modality (the first one that has them; token 0 is no
            word, and what was not observed was not said).

    Raises:
        DataError: it has neither.
    """
    texts = corpus.transcripts if corpus.utterances.text is not None else []
    if any(texts):
        said = [sorted(set(_WORD.findall((text or "").lower()))) for text in texts]
        names = sorted(set().union(*said))
        code = {name: index for index, name in enumerate(names)}
        row = np.repeat(np.arange(len(said)), [len(words) for words in said])
        word = np.fromiter((code[w] for words in said for w in words), np.int64, len(row))
        return Spoken(tuple(names), row, word, len(corpus))
    spelt = next((f for f in corpus.frames.values() if f.tokens is not None), None)
    if spelt is None:
        raise DataError(
            "the corpus tells no words",
            corpus=corpus.name,
            expected="transcripts, or token ids beside the frames of a modality",
            hint="import it with its texts, or choose a shift that needs no words: kind labels, groups or random",
        )
    return _from_tokens(spelt)


def _from_tokens(frames: Frames) -> Spoken:
    row = np.repeat(np.arange(len(frames.count)), frames.count)
    at = np.repeat(frames.start - (np.cumsum(frames.count) - frames.count), frames.count) + np.arange(len(row))
    assert frames.tokens is not None
    token = np.asarray(frames.tokens[at])
    said = token != 0 if frames.observed is None else (token != 0) & frames.observed[at]
    pairs = np.unique(np.stack([row[said], token[said]], axis=1), axis=0)  # (P, 2)
    names, word = np.unique(pairs[:, 1], return_inverse=True)
    return Spoken(tuple(str(n) for n in names.tolist()), pairs[:, 0], word.astype(np.int64), len(frames.count))
