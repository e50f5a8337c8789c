"""Readable transcripts of tokens; they depend on the tokens only, so they carry no further information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.synthetic.duet.world import Lexicon


def render(lexicon: Lexicon, tokens: NDArray[np.int64], count: NDArray[np.int64]) -> list[str]:
    """Return the transcripts of N utterances: tokens in order, a capital first, commas between content words, a full stop.

    Args:
        lexicon: the words.
        tokens: (R,) int64, utterances end to end.
        count: (N,) int64 tokens of each, at least 1.

    Returns:
        N texts.
    """
    words = ["I" if w == "i" else w for w in lexicon.words]
    shapes = np.array([[w[0].upper() + w[1:] for w in words], [" " + w for w in words], [", " + w for w in words]], dtype=object)
    content = lexicon.content[tokens]
    shape = np.ones(len(tokens), np.int64)
    shape[1:] += content[1:] & content[:-1]
    end = np.cumsum(count)
    shape[end - count] = 0
    pieces = shapes[shape, tokens].tolist()
    bounds = zip((end - count).tolist(), end.tolist(), strict=True)
    return ["".join(pieces[low:high]) + "." for low, high in bounds]
