"""Which part each utterance is dealt into, by the kind of shift that was asked for, and random splits to hold it against.

:mod:`lacuna.shift.resplit` deals units in one way each; here one is chosen, searched on from if words are to shift, and what
the tests leave becomes training and validation.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.shift.anneal import Cooling, Units, anneal
from lacuna.shift.measure import Ruler
from lacuna.shift.resplit import Dealt, Pool, deal_groups, deal_labels, deal_random, take
from lacuna.shift.settings import RepartitionConfig

_log = logging.getLogger(__name__)
Rows = NDArray[np.int64]
PARTS = ("train", "valid", "iid", "ood", "unused")


def divide(
    corpus: Corpus, target: Target, config: RepartitionConfig, pool: Pool, *, units: Units, ruler: Ruler, fixed: Rows | None
) -> tuple[Dealt, dict[str, float]]:
    """Deal units as asked for, and tell what a search was like.

    Args:
        corpus: what is dealt.
        target: whose classes a shift of labels names.
        config: what shifts.
        pool: which utterances are dealt, and how many make up a test.
        units: the pool's units.
        ruler: measures divergences.
        fixed: rows of training if it stays as it is.

    Raises:
        ConfigError: a class is unknown, or the label shift cannot be kept within the budget.
    """
    if config.kind == "groups":
        return deal_groups(corpus, units, pool, config), {}
    if config.kind == "labels":
        names = target.classes or ("low", "middle", "high")
        if unknown := sorted(set(config.toward) - set(names)):
            raise ConfigError(f"repartition: 'toward' names class {unknown[0]!r}; target '{target.name}' has: {', '.join(names)}")
        return deal_labels(units, pool, np.array([config.toward.get(name, 0.0) for name in names])), {}
    dealt = deal_random(units, pool)
    if config.kind == "random":
        return dealt, {}
    found = anneal(
        units,
        dealt.ood,
        dealt.rest,
        pool.size,
        reference=None if fixed is None else ruler.tally(fixed),
        anchors=[units.labels[dealt.iid].sum(axis=0)],
        share=ruler.share,
        prior=config.prior,
        cooling=Cooling(config.steps, config.temperature, config.budget, pool.slack),
        rng=np.random.default_rng([config.seed, 0xA22EA1]),
    )
    if found.largest > config.budget:
        raise ConfigError(
            f"repartition of '{corpus.name}': the labels of the OOD test cannot be brought within a budget of {config.budget:g}; "
            f"the least shift reached is {found.largest:.3f}. Allow a larger budget, or choose a larger size or unit 'utterance'"
        )
    _log.info("%s: divergence %.3f -> %.3f in %d swaps", corpus.name, found.start, found.end, found.accepted)
    return Dealt(dealt.iid, found.test, found.source), {"largest_shift": found.largest, "swaps": float(found.accepted)}


def codes_of(corpus: Corpus, config: RepartitionConfig, pool: Pool, units: Units, dealt: Dealt) -> Rows:
    """(N,) positions in ``PARTS``; what is left of everything is dealt into training and validation at random."""
    of_unit = np.full(len(pool.names), PARTS.index("unused"))
    of_unit[dealt.iid], of_unit[dealt.ood] = PARTS.index("iid"), PARTS.index("ood")
    split = corpus.utterances.split
    if config.pool == "all":
        valid, train = _without_valid(pool.order[np.isin(pool.order, dealt.rest)], units, split)
        of_unit[valid], of_unit[train] = 1, 0
    codes = np.where(pool.of >= 0, of_unit[pool.of], PARTS.index("unused"))
    if config.pool == "test":
        codes = np.where(np.isin(split, (0, 1)), split, codes)
    return codes.astype(np.int64)


def _without_valid(rest: Rows, units: Units, split: Rows) -> tuple[Rows, Rows]:
    """Units of validation, as large a share as in the corpus's own splits, and of training, of what the tests leave in order."""
    own = float((split == 1).sum()) / max(1, int((split <= 1).sum())) or 0.15
    return take(rest[::-1], units.size, round(own * int(units.size[rest].sum())))  # from the other end than the tests


def random_splits(
    corpus: Corpus, config: RepartitionConfig, pool: Pool, units: Units, fixed: Rows | None
) -> list[tuple[Rows, Rows]]:
    """Training rows and OOD rows of random splits of the same sizes, in the same units; training is without validation too."""

    def rows(chosen: Rows) -> Rows:
        return np.flatnonzero(np.isin(pool.of, chosen) & (pool.of >= 0))

    splits = []
    for number in range(config.random_splits):
        rng = np.random.default_rng([config.seed, 0x5A11, number])
        dealt = deal_random(units, pool, pool.order[rng.permutation(len(pool.order))])
        train = rows(_without_valid(dealt.rest, units, corpus.utterances.split)[1]) if fixed is None else fixed
        splits.append((train, rows(dealt.ood)))
    return splits
