"""Deal units into an IID test, an OOD test and the rest.

**The IID test comes first, at random, and takes no part in what follows.** Were it what the search leaves over, it would be
shifted too, by as much and the other way: the words that the OOD test associates more than training does, its other half
associates less. A gap between the two would then count the shift twice. So the OOD test exchanges units with a source that is
not scored: the training and validation utterances if everything is dealt, a third part of the test split if training must stay
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
class Dealt:
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
    """What is dealt: some utterances of a corpus in units.

    Attributes:
        of: (N,) int64 unit of each utterance, -1 = not in the pool.
        names: U unit names.
        order: (U,) int64 the units in an order that depends on the seed and their names alone.
        size: utterances of the OOD test, and of the IID test.
        slack: by how many utterances a part may miss it.
    """

    of: Ints
    names: list[str]
    order: Ints
    size: int
    slack: int


def pool_of(corpus: Corpus, config: RepartitionConfig) -> Pool:
    """The utterances that are dealt, in units.

    Raises:
        ConfigError: there is no test split to divide, or too little of it.
    """
    u = corpus.utterances
    inside = np.ones(len(corpus), bool) if config.pool == "all" else u.split == 2
    test = int((u.split == 2).sum())
    if config.pool == "test" and (not test or not (u.split == 0).any()):
        raise ConfigError(f"repartition of '{corpus.name}': pool 'test' needs a training and a test split; use pool 'all'")
    size = config.size or (test // 3 if config.pool == "test" else test // 2 or len(corpus) // 6)
    if size < 1 or 2 * size >= int(inside.sum()):
        raise ConfigError(
            f"repartition of '{corpus.name}': an IID and an OOD test of {size} utterances each leave nothing of the "
            f"{int(inside.sum())} that are dealt; set a smaller size"
        )
    if config.unit == "utterance":
        names, code = corpus.ids, np.arange(len(corpus))
    else:
        every = u.dialogue_names.to_pylist()
        used, code = np.unique(u.dialogue, return_inverse=True)
        names = [every[d] for d in used.tolist()]
    chosen, of = np.unique(code[inside], return_inverse=True)
    placed = np.full(len(corpus), -1, np.int64)
    placed[inside] = of
    own = [names[c] for c in chosen.tolist()]
    order = np.argsort(keys_of([f"{config.seed}/{name}" for name in own]), kind="stable")
    slack = 0 if config.unit == "utterance" else max(1, round(int(inside.sum()) / len(own) / 2))
    return Pool(placed, own, order, size, slack)


def take(order: Ints, sizes: Ints, size: int) -> tuple[Ints, Ints]:
    """The first units that make up a size, as nearly as whole units can, and the others."""
    ends = np.cumsum(sizes[order])
    number = int(np.argmin(np.abs(ends - size))) + 1 if len(order) else 0
    return order[:number], order[number:]


def deal_random(units: Units, pool: Pool, order: Ints | None = None) -> Dealt:
    """IID and OOD test alike at random: the control, and the start of annealing."""
    iid, left = take(pool.order if order is None else order, units.size, pool.size)
    ood, rest = take(left, units.size, pool.size)
    return Dealt(iid, ood, rest)


def deal_labels(units: Units, pool: Pool, toward: NDArray[np.float64]) -> Dealt:
    """An OOD test whose labels are distributed as asked for, as nearly as the pool allows: the class that lacks most comes next.

    Args:
        units: what is dealt.
        pool: sizes and order.
        toward: (C,) shares.
    """
    iid, left = take(pool.order, units.size, pool.size)
    lacking = toward * pool.size
    free = np.ones(len(left), bool)
    ood: list[int] = []
    total = 0
    shares = units.labels[left] / np.maximum(units.labels[left].sum(axis=1, keepdims=True), 1)  # (R, C)
    while total < pool.size and free.any():
        wanted = np.where(free, shares @ np.maximum(lacking, 0) - shares @ np.maximum(-lacking, 0), -np.inf)
        best = int(np.argmax(wanted))
        size = int(units.size[left[best]])
        if total + size > pool.size + pool.slack:
            free[best] = False
            continue
        free[best] = False
        ood.append(int(left[best]))
        total += size
        lacking = lacking - units.labels[left[best]]
    chosen = np.array(ood, np.int64)
    return Dealt(iid, chosen, left[~np.isin(left, chosen)])


def deal_groups(corpus: Corpus, units: Units, pool: Pool, config: RepartitionConfig) -> Dealt:
    """An OOD test of whole speakers (or dialogues) that occur nowhere else.

    Where dialogues stay whole, those that share a speaker stay together too.

    Raises:
        ConfigError: speakers are known inside their dialogue only, there are too few such groups, or all hang together.
    """
    u = corpus.utterances
    if config.group == "speaker" and speakers_are_local(corpus):
        raise ConfigError(
            f"repartition of '{corpus.name}': speakers are known inside their dialogue only ('<dialogue>::<code>'), so no"
            " unseen speaker can be held out; choose group 'dialogue'"
        )
    code = u.speaker if config.group == "speaker" else u.dialogue
    blocks = _joined(pool.of, code, len(pool.names))  # (U,) block of each unit
    outside = np.unique(code[pool.of < 0])
    seen = np.zeros(len(pool.names), bool)
    seen[pool.of[(pool.of >= 0) & np.isin(code, outside)]] = True
    known = np.unique(blocks[seen])  # blocks with somebody who is in training
    keys = {int(b): i for i, b in reversed(list(enumerate(blocks[pool.order].tolist())))}
    candidates = np.array(sorted((b for b in keys if b not in set(known.tolist())), key=keys.__getitem__), np.int64)
    sizes = np.bincount(blocks, weights=units.size, minlength=int(blocks.max()) + 1).astype(np.int64)
    if not len(candidates) or len(np.unique(blocks)) < 2:
        told = "every speaker is also in training" if len(known) else "they all hang together"
        raise ConfigError(
            f"repartition of '{corpus.name}': there is no {config.group} to hold out ({told}); "
            "choose unit 'utterance', group 'dialogue', or pool 'all'"
        )
    chosen, _ = take(candidates, sizes, pool.size)
    held = np.isin(blocks, chosen)
    if held.all():
        raise ConfigError(
            f"repartition of '{corpus.name}': holding out {pool.size} utterances leaves nothing; set a smaller size"
        )
    left = pool.order[~held[pool.order]]
    iid, rest = take(left, units.size, pool.size)
    return Dealt(iid, pool.order[held[pool.order]], rest)


def _joined(of: Ints, code: Ints, number: int) -> Ints:
    """Connected units: two are, if a group occurs in both: (U,) int64 labels."""
    parent = np.arange(number)

    def root(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = int(parent[x])
        return x

    first: dict[int, int] = {}
    for unit, group in np.unique(np.stack([of, code], axis=1)[of >= 0], axis=0).tolist():
        if group in first:
            a, b = root(first[group]), root(unit)
            parent[max(a, b)] = min(a, b)
        else:
            first[group] = unit
    roots = np.array([root(x) for x in range(number)])
    joined: Ints = np.unique(roots, return_inverse=True)[1]
    return joined
