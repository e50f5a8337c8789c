"""Bootstrap weights of several tests: shared dialogues get the same weights, other dialogues independent ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.evaluation.sweep import MOST_GROUPS, most_groups
from lacuna.metrics.bootstrap import resample_weights
from lacuna.metrics.counts import Array


def dialogue_rows(corpus: Corpus, target: Target, groups: int = MOST_GROUPS) -> list[str]:
    """Return the names of the dialogues, or groups of dialogues, of the rows of a sweep's counts.

    Args:
        corpus: that is scored.
        target: only dialogues with labels have a row.
        groups: as for :func:`lacuna.evaluation.sweep`; with more dialogues a row is a group, and two corpora share groups only if
            they have the same dialogues.

    Returns:
        D unique names, which contain the name of the corpus.
    """
    codes = np.unique(corpus.utterances.dialogue[corpus.labelled(target.name)])
    dialogue_names = corpus.utterances.dialogue_names.to_pylist()
    names = [f"{corpus.name}/{dialogue_names[code]}" for code in codes.tolist()]
    groups = most_groups(target, groups)
    if len(names) <= groups:
        return names
    digest = hashlib.blake2b("\n".join(sorted(names)).encode(), digest_size=8).hexdigest()
    return [f"{digest}/{number}" for number in range(groups)]


def joint_weights(rows: Mapping[str, list[str]], replicates: int, seed: int) -> dict[str, Array]:
    """Return how often each dialogue of each test is drawn.

    Dialogues are resampled within strata; a stratum holds the dialogues that are in the same tests. So a test keeps its size, two
    tests on the same dialogues (one of them corrupted, or each scoring other utterances of them) have the same weights and are
    compared pairwise, and two tests without a common dialogue are independent.

    Args:
        rows: by test, of :func:`dialogue_rows`.
        replicates: B.
        seed: determines all random draws together with the names.

    Returns:
        By test (B, D) float64.

    Example:
        >>> weights = joint_weights({"clean": ["x", "y"], "noisy": ["y", "x"]}, replicates=5, seed=0)
        >>> bool((weights["clean"] == weights["noisy"][:, ::-1]).all())
        True
    """
    tests = list(rows)
    tests_of: dict[str, list[int]] = {}
    for number, test in enumerate(tests):
        for name in rows[test]:
            tests_of.setdefault(name, []).append(number)
    strata: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(tests_of):
        strata.setdefault(tuple(tests_of[name]), []).append(name)
    by_name: dict[str, Array] = {}
    for stratum, names in sorted(strata.items()):
        weights = resample_weights([seed, 0, *stratum], len(names), replicates)  # (B, names)
        by_name |= {name: weights[:, i] for i, name in enumerate(names)}
    return {test: np.stack([by_name[name] for name in rows[test]], axis=1) for test in tests}
