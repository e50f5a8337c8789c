"""The words of each utterance, from transcripts, or from token ids if there is no text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import DataError

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


@dataclass(frozen=True, eq=False)
class UtteranceWords:
    """The words of N utterances; each word counts once per utterance.

    Attributes:
        names: V words, sorted; token ids as text if there are no transcripts.
        row: (P,) int64 utterance of each (utterance, word) pair, ascending.
        word: (P,) int64 word of the pair.
        utterances: number of utterances N.
    """

    names: tuple[str, ...]
    row: NDArray[np.int64]
    word: NDArray[np.int64]
    utterances: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """(V,) int64 number of utterances with each word."""
        return np.bincount(self.word, minlength=len(self.names))

    def only(self, words: NDArray[np.bool_]) -> UtteranceWords:
        """Return the same utterances with some of the words; ``words`` is (V,) bool."""
        new_code = np.cumsum(words) - 1
        kept = words[self.word]
        names = tuple(name for name, keep in zip(self.names, words.tolist(), strict=True) if keep)
        return UtteranceWords(names, self.row[kept], new_code[self.word[kept]], self.utterances)


def words_of(corpus: Corpus) -> UtteranceWords:
    """Return the words of a corpus.

    Args:
        corpus: with transcripts, or with a modality that has token ids (the first one is read; token 0 is not a word, and
            tokens of missing frames do not count).

    Raises:
        DataError: the corpus has neither.
    """
    texts = corpus.transcripts if corpus.utterances.text is not None else []
    if any(texts):
        words_of_row = [sorted(set(_WORD.findall((text or "").lower()))) for text in texts]
        names = sorted(set().union(*words_of_row))
        code = {name: index for index, name in enumerate(names)}
        row = np.repeat(np.arange(len(texts)), [len(words) for words in words_of_row])
        word = np.fromiter((code[name] for words in words_of_row for name in words), np.int64, len(row))
        return UtteranceWords(tuple(names), row, word, len(corpus))
    with_tokens = next((f for f in corpus.frames.values() if f.tokens is not None), None)
    if with_tokens is None:
        raise DataError(
            "the corpus has no words",
            corpus=corpus.name,
            expected="transcripts, or a modality with token ids",
            hint="import it with its texts, or choose a shift that needs no words: kind labels, groups or random",
        )
    return _from_tokens(with_tokens)


def _from_tokens(frames: Frames) -> UtteranceWords:
    """Return the words of a modality with token ids."""
    row = np.repeat(np.arange(len(frames.count)), frames.count)
    frame = frame_rows(frames.start, frames.count)
    assert frames.tokens is not None
    token = np.asarray(frames.tokens[frame])
    is_word = token != 0 if frames.observed is None else (token != 0) & frames.observed[frame]
    pairs = np.unique(np.stack([row[is_word], token[is_word]], axis=1), axis=0)  # (P, 2)
    names, word = np.unique(pairs[:, 1], return_inverse=True)
    return UtteranceWords(tuple(str(n) for n in names.tolist()), pairs[:, 0], word.astype(np.int64), len(frames.count))
