"""Split the units of a corpus into parts for one kind of shift, and draw random splits for comparison.

:mod:`lacuna.shift.resplit` has one function for each way of splitting. This module chooses one, anneals its result if the
word-label association is to shift, and splits the remaining units into training and validation.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, suggestion
from lacuna.shift.anneal import AnnealingConfig, Units, anneal
from lacuna.shift.measure import ShiftMeter
from lacuna.shift.resplit import Pool, SplitUnits, split_at_random, split_by_groups, split_by_labels, take_units
from lacuna.shift.settings import RepartitionConfig

_log = logging.getLogger(__name__)
Rows = NDArray[np.int64]
PARTS = ("train", "valid", "iid", "ood", "unused")


def divide(
    corpus: Corpus, target: Target, config: RepartitionConfig, pool: Pool, *, units: Units, meter: ShiftMeter, fixed: Rows | None
) -> tuple[SplitUnits, dict[str, float]]:
    """Split the units of a pool into IID test, OOD test and the rest.

    Args:
        corpus: the whole corpus.
        target: target whose classes ``config.toward`` names.
        config: what shifts, and by how much.
        pool: utterances that are re-split, and the size of a test.
        units: the units of the pool.
        meter: measures divergences.
        fixed: (R,) row numbers of training if training stays as it is.

    Returns:
        Units by part, and what the search measured, by name; empty without a search.

    Raises:
        ConfigError: a class is unknown, or the label shift cannot be kept within the budget.
    """
    if config.kind == "groups":
        return split_by_groups(corpus, units, pool, config), {}
    if config.kind == "labels":
        names = target.classes or ("low", "middle", "high")
        if unknown := sorted(set(config.toward) - set(names)):
            raise ConfigError(
                f"repartition: 'toward' names class {unknown[0]!r}{suggestion(unknown[0], names)}; "
                f"target '{target.name}' has: {', '.join(names)}"
            )
        return split_by_labels(units, pool, np.array([config.toward.get(name, 0.0) for name in names])), {}
    start = split_at_random(units, pool)
    if config.kind == "random":
        return start, {}
    annealed = anneal(
        units,
        start.ood,
        start.rest,
        pool.size,
        reference=None if fixed is None else meter.count_words(fixed),
        anchors=[units.labels[start.iid].sum(axis=0)],
        share=meter.share,
        prior=config.prior,
        config=AnnealingConfig(config.steps, config.temperature, config.budget, pool.slack),
        rng=np.random.default_rng([config.seed, 0xA22EA1]),
    )
    if annealed.largest > config.budget:
        raise ConfigError(
            f"repartition of '{corpus.name}': the labels of the OOD test cannot be brought within a budget of {config.budget:g}; "
            f"the least shift reached is {annealed.largest:.3f}. Set a larger budget, a larger size, or unit 'utterance'"
        )
    _log.info("%s: divergence %.3f -> %.3f in %d swaps", corpus.name, annealed.start, annealed.end, annealed.accepted)
    return SplitUnits(start.iid, annealed.test, annealed.source), {
        "largest_shift": annealed.largest,
        "swaps": float(annealed.accepted),
    }


def codes_of(corpus: Corpus, config: RepartitionConfig, pool: Pool, units: Units, split_units: SplitUnits) -> Rows:
    """Return the part of each utterance: (N,) int64 positions in ``PARTS``.

    With pool ``all`` the rest is split into training and validation at random.
    """
    part_of_unit = np.full(len(pool.names), PARTS.index("unused"))
    part_of_unit[split_units.iid], part_of_unit[split_units.ood] = PARTS.index("iid"), PARTS.index("ood")
    split = corpus.utterances.split
    if config.pool == "all":
        valid, train = _split_off_valid(pool.order[np.isin(pool.order, split_units.rest)], units, split)
        part_of_unit[valid], part_of_unit[train] = PARTS.index("valid"), PARTS.index("train")
    codes = np.where(pool.unit_of_row >= 0, part_of_unit[pool.unit_of_row], PARTS.index("unused"))
    if config.pool == "test":
        codes = np.where(np.isin(split, (0, 1)), split, codes)
    return codes.astype(np.int64)


def _split_off_valid(rest: Rows, units: Units, split: Rows) -> tuple[Rows, Rows]:
    """Return the validation units and the training units of the rest, which is in the order of the pool.

    Validation has the same share as in the corpus's own splits, or 15 %. It is taken from the end, the tests from the start.
    """
    share = float((split == 1).sum()) / max(1, int((split <= 1).sum())) or 0.15
    return take_units(rest[::-1], units.size, round(share * int(units.size[rest].sum())))


def random_splits(
    corpus: Corpus, config: RepartitionConfig, pool: Pool, units: Units, fixed: Rows | None
) -> list[tuple[Rows, Rows]]:
    """Return training rows and OOD rows of random splits with the same sizes and units; training excludes validation."""

    def rows_of(chosen: Rows) -> Rows:
        return np.flatnonzero(np.isin(pool.unit_of_row, chosen) & (pool.unit_of_row >= 0))

    splits = []
    for number in range(config.random_splits):
        rng = np.random.default_rng([config.seed, 0x5A11, number])
        drawn = split_at_random(units, pool, pool.order[rng.permutation(len(pool.order))])
        train = rows_of(_split_off_valid(drawn.rest, units, corpus.utterances.split)[1]) if fixed is None else fixed
        splits.append((train, rows_of(drawn.ood)))
    return splits
