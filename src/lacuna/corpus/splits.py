"""Splits by dialogue: carve a validation set, or make folds. A dialogue never falls into two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.schema import SPLITS
from lacuna.errors import ConfigError


def carve_valid(corpus: Corpus, share: float, seed: int) -> Corpus:
    """Move whole training dialogues into a new validation split.

    Args:
        corpus: without a validation split.
        share: part of the training utterances to move, in (0, 1); at least one dialogue moves and one stays.
        seed: which dialogues; the choice depends on the seed and the dialogue names alone.

    Raises:
        ConfigError: there is a validation split already, the share is out of bounds, or there are under 2 dialogues.
    """
    split = corpus.utterances.split
    if (split == 1).any():
        raise ConfigError(f"corpus '{corpus.name}' has a validation split already; drop `valid_share`")
    if not 0 < share < 1:
        raise ConfigError(f"valid_share must lie between 0 and 1, not {share}")
    train = split == 0
    order = _shuffled(corpus, train, seed)
    if len(order) < 2:
        raise ConfigError(f"corpus '{corpus.name}' has {len(order)} training dialogue(s); carving needs two")
    sizes = np.bincount(corpus.utterances.dialogue[train], minlength=len(corpus.utterances.dialogue_names))[order]
    moved = 1 + int(np.searchsorted(np.cumsum(sizes), share * sizes.sum()))
    chosen = order[: min(moved, len(order) - 1)]
    return _with_split(corpus, np.where(train & np.isin(corpus.utterances.dialogue, chosen), 1, split))


def fold(corpus: Corpus, folds: int, test_fold: int, seed: int) -> Corpus:
    """Make splits by cutting the dialogues into folds: one for test, the next one for validation, the rest for training.

    Args:
        corpus: its own splits, if any, are forgotten.
        folds: how many, at least 3.
        test_fold: which one is the test, from 0.
        seed: which dialogue falls into which fold; folds hold about the same number of utterances.

    Raises:
        ConfigError: too few folds or dialogues, or ``test_fold`` out of bounds.
    """
    everything = np.ones(len(corpus), bool)
    order = _shuffled(corpus, everything, seed)
    if folds < 3 or len(order) < folds or not 0 <= test_fold < folds:
        raise ConfigError(
            f"cannot make test fold {test_fold} of {folds} from {len(order)} dialogues of corpus '{corpus.name}': "
            "at least 3 folds, a dialogue in each, and a test fold among them are needed"
        )
    sizes = np.bincount(corpus.utterances.dialogue, minlength=len(corpus.utterances.dialogue_names))
    load = np.zeros(folds, np.int64)
    place = np.zeros(len(sizes), np.int64)
    for dialogue in order:  # each into the emptiest fold
        place[dialogue] = int(np.argmin(load))
        load[place[dialogue]] += sizes[dialogue]
    of = place[corpus.utterances.dialogue]
    split = np.where(of == test_fold, 2, np.where(of == (test_fold + 1) % folds, 1, 0))
    return _with_split(corpus, split.astype(np.int64))


def _shuffled(corpus: Corpus, chosen: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Codes of the dialogues that hold chosen rows, in an order set by the seed and their names alone."""
    codes = np.unique(corpus.utterances.dialogue[chosen])
    names = [corpus.utterances.dialogue_names[int(c)].as_py() for c in codes]
    return codes[np.argsort(keys_of([f"{seed}/{n}" for n in names]), kind="stable")]


def _with_split(corpus: Corpus, split: NDArray[np.int64]) -> Corpus:
    counts = ", ".join(f"{name} {int((split == code).sum())}" for code, name in enumerate(SPLITS))
    provenance = corpus.provenance.noting(f"splits made by dialogue: {counts} utterances")
    return replace(corpus, utterances=replace(corpus.utterances, split=split), provenance=provenance)
