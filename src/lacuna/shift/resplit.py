"""Split units into an IID test, an OOD test and the rest.

**The IID test is drawn first, at random, and is not changed afterwards.** If it were what the search leaves over, it would be
shifted as well, by as much in the opposite direction: where the OOD test has a stronger association of a word than training, the
other half has a weaker one. The gap between the two would count the shift twice. So the OOD test exchanges units with a source
that is not scored: training and validation if all utterances are re-split, a third part of the test split if training must stay
as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.speakers import speakers_are_local
from lacuna.errors import ConfigError
from lacuna.shift.anneal import Units
from lacuna.shift.settings import RepartitionConfig

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SplitUnits:
    """Units by part.

    Attributes:
        iid: units of the IID test.
        ood: units of the OOD test.
        rest: units of neither.
    """

    iid: Ints
    ood: Ints
    rest: Ints


@dataclass(frozen=True, eq=False)
class Pool:
    """The utterances of a corpus that are re-split, grouped into U units.

    Attributes:
        unit_of_row: (N,) int64 unit of each utterance, -1 = not in the pool.
        names: U unit names.
        order: (U,) int64 the units in an order that depends only on the seed and their names.
        size: number of utterances of the OOD test, and of the IID test.
        slack: largest difference between the size of a test and ``size``.
    """

    unit_of_row: Ints
    names: list[str]
    order: Ints
    size: int
    slack: int


def pool_of(corpus: Corpus, config: RepartitionConfig) -> Pool:
    """Return the utterances that are re-split, grouped into units.

    Raises:
        ConfigError: pool ``test`` lacks a training or a test split, or the pool is too small for two tests.
    """
    u = corpus.utterances
    inside = np.ones(len(corpus), bool) if config.pool == "all" else u.split == 2
    n_test = int((u.split == 2).sum())
    if config.pool == "test" and (not n_test or not (u.split == 0).any()):
        raise ConfigError(f"repartition of '{corpus.name}': pool 'test' needs a training and a test split; use pool 'all'")
    size = config.size or (n_test // 3 if config.pool == "test" else n_test // 2 or len(corpus) // 6)
    if size < 1 or 2 * size >= int(inside.sum()):
        raise ConfigError(
            f"repartition of '{corpus.name}': an IID and an OOD test of {size} utterances each leave nothing of the "
            f"{int(inside.sum())} in the pool; set a smaller size"
        )
    if config.unit == "utterance":
        names, code = corpus.ids, np.arange(len(corpus))
    else:
        names, code = u.dialogue_names.to_pylist(), u.dialogue
    used, unit = np.unique(code[inside], return_inverse=True)
    unit_of_row = np.full(len(corpus), -1, np.int64)
    unit_of_row[inside] = unit
    unit_names = [names[c] for c in used.tolist()]
    order = np.argsort(keys_of([f"{config.seed}/{name}" for name in unit_names]), kind="stable")
    slack = 0 if config.unit == "utterance" else max(1, round(int(inside.sum()) / len(unit_names) / 2))
    return Pool(unit_of_row, unit_names, order, size, slack)


def take_units(order: Ints, sizes: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the first units that together come nearest to a size, and the other units.

    Args:
        order: (K,) int64 units.
        sizes: (U,) int64 number of utterances of each unit.
        size: number of utterances to take.
    """
    totals = np.cumsum(sizes[order])
    n_units = int(np.argmin(np.abs(totals - size))) + 1 if len(order) else 0
    return order[:n_units], order[n_units:]


def split_at_random(units: Units, pool: Pool, order: Ints | None = None) -> SplitUnits:
    """Return IID and OOD test drawn at random: the control, and the start of annealing."""
    iid, left = take_units(pool.order if order is None else order, units.size, pool.size)
    ood, rest = take_units(left, units.size, pool.size)
    return SplitUnits(iid, ood, rest)


def split_by_labels(units: Units, pool: Pool, toward: NDArray[np.float64]) -> SplitUnits:
    """Return a split whose OOD test has the requested label distribution, as nearly as the pool allows.

    Units are added one at a time, each time the one with the largest share of the classes that are lacking.

    Args:
        units: the units of the pool.
        pool: sizes and order.
        toward: (C,) requested shares of the classes, with sum 1.
    """
    iid, left = take_units(pool.order, units.size, pool.size)
    lacking = toward * pool.size
    free = np.ones(len(left), bool)
    ood: list[int] = []
    total = 0
    shares = units.labels[left] / np.maximum(units.labels[left].sum(axis=1, keepdims=True), 1)  # (R, C)
    while total < pool.size and free.any():
        gain = np.where(free, shares @ np.maximum(lacking, 0) - shares @ np.maximum(-lacking, 0), -np.inf)
        best = int(np.argmax(gain))
        free[best] = False
        size = int(units.size[left[best]])
        if total + size > pool.size + pool.slack:
            continue
        ood.append(int(left[best]))
        total += size
        lacking = lacking - units.labels[left[best]]
    chosen = np.array(ood, np.int64)
    return SplitUnits(iid, chosen, left[~np.isin(left, chosen)])


def split_by_groups(corpus: Corpus, units: Units, pool: Pool, config: RepartitionConfig) -> SplitUnits:
    """Return a split whose OOD test has whole speakers (or dialogues) that occur nowhere else.

    Where dialogues stay whole, dialogues that share a speaker stay together.

    Raises:
        ConfigError: speakers are local to their dialogue, no group can be held out, or holding one out leaves nothing.
    """
    u = corpus.utterances
    if config.group == "speaker" and speakers_are_local(corpus):
        raise ConfigError(
            f"repartition of '{corpus.name}': speakers are known inside their dialogue only ('<dialogue>::<code>'), so no"
            " unseen speaker can be held out; choose group 'dialogue'"
        )
    code = u.speaker if config.group == "speaker" else u.dialogue
    blocks = _connected(pool.unit_of_row, code, len(pool.names))  # (U,) block of each unit
    in_training = (pool.unit_of_row >= 0) & np.isin(code, np.unique(code[pool.unit_of_row < 0]))  # (N,) its group is
    excluded = set(blocks[pool.unit_of_row[in_training]].tolist())
    ordered = dict.fromkeys(blocks[pool.order].tolist())  # blocks in the order of their first unit
    candidates = np.array([block for block in ordered if block not in excluded], np.int64)
    sizes = np.bincount(blocks, weights=units.size, minlength=int(blocks.max()) + 1).astype(np.int64)
    if not len(candidates) or len(np.unique(blocks)) < 2:
        reason = "every speaker is also in training" if excluded else "all are connected by shared dialogues"
        raise ConfigError(
            f"repartition of '{corpus.name}': there is no {config.group} to hold out ({reason}); "
            "choose unit 'utterance', group 'dialogue', or pool 'all'"
        )
    chosen, _ = take_units(candidates, sizes, pool.size)
    held = np.isin(blocks, chosen)
    if held.all():
        raise ConfigError(
            f"repartition of '{corpus.name}': holding out {pool.size} utterances leaves nothing; set a smaller size"
        )
    left = pool.order[~held[pool.order]]
    iid, rest = take_units(left, units.size, pool.size)
    return SplitUnits(iid, pool.order[held[pool.order]], rest)


def _connected(unit_of_row: Ints, group_of_row: Ints, n_units: int) -> Ints:
    """Return (U,) int64 the connected component of each unit; units with a common group are connected."""
    parent = np.arange(n_units)

    def root(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = int(parent[x])
        return x

    first: dict[int, int] = {}
    for unit, group in np.unique(np.stack([unit_of_row, group_of_row], axis=1)[unit_of_row >= 0], axis=0).tolist():
        if group in first:
            a, b = root(first[group]), root(unit)
            parent[max(a, b)] = min(a, b)
        else:
            first[group] = unit
    components: Ints = np.unique([root(unit) for unit in range(n_units)], return_inverse=True)[1]
    return components
