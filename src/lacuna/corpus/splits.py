"""Splits by dialogue: carve a validation split from training, or make folds. A dialogue is never in two splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.schema import SPLITS
from lacuna.errors import ConfigError

DO = (
    "add dialogues; with 3 or more, name the split of each utterance yourself (train, valid, test), or set fewer folds "
    "(ingest.folds)"
)


def carve_valid(corpus: Corpus, share: float, seed: int) -> Corpus:
    """Return the corpus with some of its training dialogues moved into a new validation split.

    Args:
        corpus: without a validation split.
        share: part of the training utterances to move, in (0, 1); at least one dialogue moves and one stays.
        seed: the choice of dialogues depends only on the seed and the names of the dialogues.

    Raises:
        ConfigError: there is a validation split already, the share is out of bounds, or training has under 2 dialogues.
    """
    split = corpus.utterances.split
    if (split == 1).any():
        raise ConfigError(f"corpus '{corpus.name}' has a validation split already; drop `valid_share`")
    if not 0 < share < 1:
        raise ConfigError(f"valid_share must lie between 0 and 1, not {share}")
    train = split == 0
    order = _shuffled(corpus, train, seed)
    if len(order) < 2:
        raise ConfigError(f"corpus '{corpus.name}' has {len(order)} training dialogue(s); carving needs two\n  do: {DO}")
    sizes = np.bincount(corpus.utterances.dialogue[train], minlength=len(corpus.utterances.dialogue_names))[order]
    n_moved = 1 + int(np.searchsorted(np.cumsum(sizes), share * sizes.sum()))
    moved = order[: min(n_moved, len(order) - 1)]
    return _with_split(corpus, np.where(train & np.isin(corpus.utterances.dialogue, moved), 1, split))


def fold(corpus: Corpus, folds: int, test_fold: int, seed: int) -> Corpus:
    """Return the corpus re-split into folds of dialogues: one for test, the next one for validation, the rest for training.

    Args:
        corpus: its own splits, if any, are replaced.
        folds: number of folds, at least 3; they have about the same number of utterances.
        test_fold: number of the fold that becomes the test split, from 0.
        seed: the folds depend only on the seed and the names of the dialogues.

    Raises:
        ConfigError: too few folds or dialogues, or ``test_fold`` out of bounds.
    """
    order = _shuffled(corpus, np.ones(len(corpus), bool), seed)
    if folds < 3 or len(order) < folds or not 0 <= test_fold < folds:
        raise ConfigError(
            f"cannot make test fold {test_fold} of {folds} from {len(order)} dialogues of corpus '{corpus.name}': "
            f"at least 3 folds, a dialogue in each, and a test fold among them are needed\n  do: {DO}"
        )
    sizes = np.bincount(corpus.utterances.dialogue, minlength=len(corpus.utterances.dialogue_names))
    fold_sizes = np.zeros(folds, np.int64)
    fold_of_dialogue = np.zeros(len(sizes), np.int64)
    for dialogue in order:  # each goes into the smallest fold
        fold_of_dialogue[dialogue] = int(np.argmin(fold_sizes))
        fold_sizes[fold_of_dialogue[dialogue]] += sizes[dialogue]
    fold_of_row = fold_of_dialogue[corpus.utterances.dialogue]
    split = np.where(fold_of_row == test_fold, 2, np.where(fold_of_row == (test_fold + 1) % folds, 1, 0))
    return _with_split(corpus, split.astype(np.int64))


def _shuffled(corpus: Corpus, chosen: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return the codes of the dialogues of the chosen rows, in an order that depends only on the seed and their names."""
    codes = np.unique(corpus.utterances.dialogue[chosen])
    names = [corpus.utterances.dialogue_names[int(code)].as_py() for code in codes]
    return codes[np.argsort(keys_of([f"{seed}/{name}" for name in names]), kind="stable")]


def _with_split(corpus: Corpus, split: NDArray[np.int64]) -> Corpus:
    """Return the corpus with other splits ((N,) int64 codes) and a note of their sizes."""
    counts = ", ".join(f"{name} {int((split == code).sum())}" for code, name in enumerate(SPLITS))
    provenance = corpus.provenance.noting(f"splits made by dialogue: {counts} utterances")
    return replace(corpus, utterances=replace(corpus.utterances, split=split), provenance=provenance)
