"""Replicates of several tests at once: what they share is drawn together, what they do not share apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.evaluation.bootstrap import resampled
from lacuna.evaluation.sweep import MOST_GROUPS
from lacuna.metrics.counts import Array


def dialogue_rows(corpus: Corpus, target: Target, groups: int = MOST_GROUPS) -> list[str]:
    """What each row of a sweep's counts stands for, in their order.

    Args:
        corpus: that is scored.
        target: only dialogues with labels have a row.
        groups: as for :func:`lacuna.evaluation.sweep`; with more dialogues a row is a group, and two corpora share groups only if
            they have the same dialogues.

    Returns:
        D names, unique, with the corpus in them.
    """
    codes = np.unique(corpus.utterances.dialogue[corpus.labelled(target.name)])
    every = corpus.utterances.dialogue_names.to_pylist()
    names = [f"{corpus.name}/{every[code]}" for code in codes.tolist()]
    if len(names) <= groups:
        return names
    digest = hashlib.blake2b("\n".join(sorted(names)).encode(), digest_size=8).hexdigest()
    return [f"{digest}/{number}" for number in range(groups)]


def drawn_together(rows: Mapping[str, list[str]], replicates: int, seed: int) -> dict[str, Array]:
    """How often each dialogue of each test is drawn.

    Dialogues are resampled within strata: those that are in the same tests. So a test keeps its size, two tests on the same
    dialogues (one of them corrupted, or each with a part of every dialogue) get the same draws and are compared in pairs, and two
    tests without a common dialogue are independent.

    Args:
        rows: by test, of :func:`dialogue_rows`.
        replicates: B.
        seed: everything random follows from it and from the names.

    Returns:
        By test (B, D) float64.
    """
    tests = list(rows)
    among: dict[str, list[int]] = {}
    for number, test in enumerate(tests):
        for name in rows[test]:
            among.setdefault(name, []).append(number)
    strata: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(among):
        strata.setdefault(tuple(among[name]), []).append(name)
    drawn: dict[str, Array] = {}
    for stratum, names in sorted(strata.items()):
        weights = resampled([seed, 0, *stratum], len(names), replicates)  # (B, names)
        drawn |= {name: weights[:, i] for i, name in enumerate(names)}
    return {test: np.stack([drawn[name] for name in rows[test]], axis=1) for test in tests}
