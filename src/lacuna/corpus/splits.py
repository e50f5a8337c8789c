"""Splits by dialogue or by speaker: carve a validation split from training, or make folds. A dialogue is never in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.speakers import UNKNOWN, speakers_are_local
from lacuna.errors import ConfigError, suggestion

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
    n_train = len(np.unique(corpus.utterances.dialogue[train]))
    if n_train < 2:
        raise ConfigError(f"corpus '{corpus.name}' has {n_train} training dialogue(s); carving needs two\n  do: {DO}")
    moved = _share_of(corpus.utterances.dialogue, _dialogue_names(corpus), train, share, seed)
    return _with_split(corpus, np.where(moved, 1, split))


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
    n_dialogues = len(np.unique(corpus.utterances.dialogue))
    if folds < 3 or n_dialogues < folds or not 0 <= test_fold < folds:
        raise ConfigError(
            f"cannot make test fold {test_fold} of {folds} from {n_dialogues} dialogues of corpus '{corpus.name}': "
            f"at least 3 folds, a dialogue in each, and a test fold among them are needed\n  do: {DO}"
        )
    fold_of_row = _folds(corpus.utterances.dialogue, _dialogue_names(corpus), folds, seed)
    split = np.where(fold_of_row == test_fold, 2, np.where(fold_of_row == (test_fold + 1) % folds, 1, 0))
    return _with_split(corpus, split.astype(np.int64))


def by_speaker(
    corpus: Corpus, speakers: Sequence[str] = (), *, share: float, folds: int = 5, test_fold: int = 0, seed: int = 0
) -> Corpus:
    """Return the corpus re-split so that no speaker of the test is in training or validation.

    Speakers who share a dialogue stay together, because a dialogue is in one split. Validation takes whole speakers, too, if at
    least two such groups are left after the test; otherwise dialogues of the only one.

    Args:
        corpus: its own splits, if any, are replaced.
        speakers: names of the speakers of the test; empty = draw them: those of fold ``test_fold``.
        share: part of the utterances outside the test that becomes validation, in (0, 1).
        folds: number of folds of speakers if they are drawn, at least 2; at most one for each group.
        test_fold: the fold that becomes the test, from 0.
        seed: what is drawn depends only on the seed and the names.

    Raises:
        ConfigError: a speaker is unknown, speakers are not known across dialogues, or there are too few of them.
    """
    names = corpus.utterances.speaker_names.to_pylist()
    known = sorted({names[code] for code in np.unique(corpus.utterances.speaker).tolist()})
    if speakers_are_local(corpus) or UNKNOWN in known:
        raise ConfigError(
            f"corpus '{corpus.name}' cannot be split by speaker: some speakers are unknown, or known inside their dialogue only\n"
            "  do: give a column `speaker` with names of people, or split by dialogue (split: fold)"
        )
    if unknown := next((name for name in speakers if name not in known), None):
        few = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise ConfigError(f"corpus '{corpus.name}' has no speaker '{unknown}'{suggestion(unknown, known)}; there are: {few}")
    group, group_names = _connected(corpus, names)
    n_groups = len(group_names)
    if speakers:
        named = np.isin(corpus.utterances.speaker, [code for code, name in enumerate(names) if name in speakers])
        test = np.isin(group, group[named])
    else:
        if not 2 <= folds <= n_groups or not 0 <= test_fold < folds:
            raise ConfigError(
                f"cannot make test fold {test_fold} of {folds} from {n_groups} group(s) of speakers of corpus '{corpus.name}'; "
                f"speakers who share a dialogue are one group\n  do: set ingest.folds to at most {n_groups}, or split by dialogue"
            )
        test = _folds(group, group_names, folds, seed) == test_fold
    if test.all():
        raise ConfigError(
            f"corpus '{corpus.name}' has no speaker left outside the test; speakers who share a dialogue stay together\n"
            "  do: name fewer speakers, or split by dialogue (split: fold)"
        )
    units, unit_names = (
        (group, group_names) if len(np.unique(group[~test])) > 1 else (corpus.utterances.dialogue, _dialogue_names(corpus))
    )
    if len(np.unique(units[~test])) < 2:
        raise ConfigError(f"corpus '{corpus.name}' has one dialogue outside the test; validation needs another\n  do: {DO}")
    split = np.where(test, 2, np.where(_share_of(units, unit_names, ~test, share, seed), 1, 0)).astype(np.int64)
    speaks = [", ".join(sorted({names[code] for code in np.unique(corpus.utterances.speaker[split == part])})) for part in (2, 1)]
    return _with_split(corpus, split, f"split by speaker; test: {speaks[0]}; validation: {speaks[1]}")


def _connected(corpus: Corpus, names: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the group of each row (N,), speakers who share a dialogue being in one, and the first speaker of each group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    speaker, dialogue = corpus.utterances.speaker, corpus.utterances.dialogue
    size = len(names) + len(corpus.utterances.dialogue_names)
    edges = coo_array((np.ones(len(corpus), np.int8), (speaker, len(names) + dialogue)), shape=(size, size))
    component = connected_components(edges, directed=False)[1][speaker]  # (N,)
    groups, group = np.unique(component, return_inverse=True)
    first = [min(names[code] for code in np.unique(speaker[group == number])) for number in range(len(groups))]
    return group.astype(np.int64), first


def _dialogue_names(corpus: Corpus) -> list[str]:
    names: list[str] = corpus.utterances.dialogue_names.to_pylist()
    return names


def _share_of(
    unit: NDArray[np.int64], names: Sequence[str], chosen: NDArray[np.bool_], share: float, seed: int
) -> NDArray[np.bool_]:
    """Return which of the chosen rows belong to some whole units that hold about a share of them; at least one unit stays."""
    order = _shuffled(unit[chosen], names, seed)
    sizes = np.bincount(unit[chosen], minlength=len(names))[order]
    n_moved = 1 + int(np.searchsorted(np.cumsum(sizes), share * sizes.sum()))
    return chosen & np.isin(unit, order[: min(n_moved, len(order) - 1)])


def _folds(unit: NDArray[np.int64], names: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row (N,): each unit goes, in a random order, into the smallest fold."""
    sizes = np.bincount(unit, minlength=len(names))
    fold_sizes = np.zeros(folds, np.int64)
    fold_of_unit = np.zeros(len(sizes), np.int64)
    for code in _shuffled(unit, names, seed):
        fold_of_unit[code] = int(np.argmin(fold_sizes))
        fold_sizes[fold_of_unit[code]] += sizes[code]
    return fold_of_unit[unit]


def _shuffled(unit: NDArray[np.int64], names: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Return the codes that occur among the units (N,), in an order that depends only on the seed and their names."""
    codes = np.unique(unit)
    return codes[np.argsort(keys_of([f"{seed}/{names[code]}" for code in codes.tolist()]), kind="stable")]


def _with_split(corpus: Corpus, split: NDArray[np.int64], rule: str = "splits made by dialogue") -> Corpus:
    """Return the corpus with other splits ((N,) int64 codes) and a note of their rule and sizes."""
    counts = ", ".join(f"{name} {int((split == code).sum())}" for code, name in enumerate(SPLITS))
    provenance = corpus.provenance.noting(f"{rule}: {counts} utterances")
    return replace(corpus, utterances=replace(corpus.utterances, split=split), provenance=provenance)
