"""Recognise dialogues by their content, under any name of the corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus

_BLOCK = 4096  # utterances that are read at a time


def dialogue_contents(corpus: Corpus, modalities: Iterable[str]) -> NDArray[np.uint64]:
    """Return a hash of each dialogue of a view: ids of its utterances, numbers of frames, and first frames.

    The name of the corpus, the order of rows, splits and labels do not change it.

    Args:
        corpus: a view.
        modalities: that are hashed; a modality that the corpus lacks counts as one without frames.

    Returns:
        (D,) uint64, in the order of :attr:`lacuna.corpus.Corpus.dialogue_keys`.
    """
    hashes = np.zeros(len(corpus), np.uint64)
    frames = [corpus.frames[name] for name in sorted(modalities) if name in corpus.frames]
    keys = corpus.keys
    for start in range(0, len(corpus), _BLOCK):
        rows = slice(start, start + _BLOCK)
        digests = [hashlib.blake2b(key.tobytes(), digest_size=8) for key in keys[rows]]
        for modality in frames:
            first, count = np.asarray(modality.start[rows]), np.asarray(modality.count[rows])
            present = count > 0
            values = np.asarray(modality.values[first[present]]) if present.any() else np.zeros((0, 0), np.float32)
            for digest, n_frames in zip(digests, count, strict=True):
                digest.update(int(n_frames).to_bytes(8, "little"))
            for index, value in zip(np.flatnonzero(present), values, strict=True):
                digests[index].update(value.tobytes())
        hashes[rows] = [int.from_bytes(digest.digest(), "little") for digest in digests]
    codes, dialogue = np.unique(corpus.utterances.dialogue, return_inverse=True)
    contents = np.zeros(len(codes), np.uint64)
    np.add.at(contents, dialogue.reshape(-1), hashes)  # a sum modulo 2^64: the order of rows does not matter
    return contents
