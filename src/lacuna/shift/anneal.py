"""Simulated annealing by swaps: move units into a test set until words go with other labels there than in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.shift.association import Array, WordTally, log_odds, spread, total_variation
from lacuna.shift.words import Spoken


@dataclass(frozen=True, eq=False)
class Units:
    """What moves together: single utterances, or whole dialogues.

    Attributes:
        size: (U,) int64 utterances.
        labels: (U, C) float64 utterances of each class.
        cells: U arrays of cells ``class * V + word`` that the unit counts in.
        counts: U arrays, in how many of its utterances.
        vocabulary: V.
    """

    size: NDArray[np.int64]
    labels: Array
    cells: Sequence[NDArray[np.int64]]
    counts: Sequence[Array]
    vocabulary: int

    def tally(self, units: NDArray[np.int64]) -> WordTally:
        """Counts of some units together."""
        classes = self.labels.shape[1]
        flat = np.zeros(classes * self.vocabulary)
        for unit in units.tolist():
            flat[self.cells[unit]] += self.counts[unit]
        return WordTally(flat.reshape(classes, self.vocabulary), self.labels[units].sum(axis=0))  # (C*V,) -> (C, V)


def units_of(of: NDArray[np.int64], number: int, strata: NDArray[np.int64], classes: int, spoken: Spoken | None) -> Units:
    """Group utterances into units.

    Args:
        of: (N,) int64 unit of each utterance, -1 = in none.
        number: U.
        strata: (N,) int64 classes, -1 = unlabelled: such an utterance moves along and counts in nothing but sizes.
        classes: C.
        spoken: the words of the N utterances, or ``None``.
    """
    inside = of >= 0
    known = inside & (strata >= 0)
    labels = np.zeros((number, classes))
    np.add.at(labels, (of[known], strata[known]), 1)
    vocabulary = 0 if spoken is None else len(spoken.names)
    cells, counts = [np.zeros(0, np.int64)] * number, [np.zeros(0)] * number
    if spoken is not None:
        kept = known[spoken.row]
        row, word = spoken.row[kept], spoken.word[kept]
        width = classes * vocabulary
        keys, times = np.unique(of[row] * width + strata[row] * vocabulary + word, return_counts=True)
        edges = np.searchsorted(keys, np.arange(number + 1) * width)
        for unit in range(number):
            here = slice(edges[unit], edges[unit + 1])
            cells[unit], counts[unit] = keys[here] - unit * width, times[here].astype(np.float64)
    return Units(np.bincount(of[inside], minlength=number), labels, cells, counts, vocabulary)


@dataclass(frozen=True)
class Cooling:
    """How annealing goes.

    Attributes:
        steps: proposed swaps.
        temperature: at the start, as a share of the divergence at the start; it falls linearly to 0.
        budget: largest total variation between the labels of the test set and those of each anchor.
        slack: by how many utterances the size of the test set may differ from the one asked for.
    """

    steps: int = 20_000
    temperature: float = 0.01
    budget: float = 0.05
    slack: int = 0


@dataclass(frozen=True, eq=False)
class Annealed:
    """What came of it.

    Attributes:
        test: units of the test set.
        source: units that stayed outside.
        start: divergence before.
        end: divergence after.
        largest: largest label shift after any accepted swap, from the moment when the budget was kept.
        accepted: number of swaps.
    """

    test: NDArray[np.int64]
    source: NDArray[np.int64]
    start: float
    end: float
    largest: float
    accepted: int


def anneal(
    units: Units,
    test: NDArray[np.int64],
    source: NDArray[np.int64],
    size: int,
    *,
    reference: WordTally | None,
    anchors: Sequence[Array],
    share: Array,
    prior: float,
    cooling: Cooling,
    rng: np.random.Generator,
) -> Annealed:
    """Swap units between the test set and a source so that the divergence from training grows.

    Args:
        units: all of them.
        test: units of the test set to begin with.
        source: units that may be exchanged for them.
        size: utterances that the test set should have.
        reference: tally of the training set; ``None`` = it is what the source holds, and changes along.
        anchors: label counts (C,) that the test set must stay close to; the source's are added where it is the training set.
        share: (V,) of :func:`lacuna.shift.association.shares`.
        prior: weight of the prior.
        cooling: how long, how hot, and what must hold.
        rng: everything random.

    Returns:
        The best-so-far is not kept: the temperature ends at 0, so the last state is a local best. Label shift and size never
        leave their bounds once they are inside; a start outside is first brought inside by swaps that come closer.
    """
    test, source = test.copy(), source.copy()
    inside, outside = units.tally(test), units.tally(source)
    moving = reference is None
    fixed = None if reference is None else log_odds(reference, share, prior)

    def measured(a: WordTally, b: WordTally) -> float:
        return spread(log_odds(b, share, prior) if fixed is None else fixed, log_odds(a, share, prior), share)

    def shift(own: Array, other: Array) -> float:
        return max((total_variation(own, anchor) for anchor in (*anchors, *([other] if moving else []))), default=0.0)

    now, off, labels = measured(inside, outside), abs(int(units.size[test].sum()) - size), shift(*_labels(inside, outside))
    start, total, largest, accepted = now, int(units.size[test].sum()), labels, 0
    sizes, uniform = units.size.tolist(), bool((units.labels.sum(axis=1) == 1).all())
    own_class = units.labels.argmax(axis=1).tolist()
    if not len(test) or not len(source):
        return Annealed(test, source, start, now, labels, 0)
    for step in range(cooling.steps):
        i, j = int(rng.integers(len(test))), int(rng.integers(len(source)))
        chance = float(rng.random())
        out, back = int(test[i]), int(source[j])
        moved = total + sizes[back] - sizes[out]
        if abs(moved - size) > max(cooling.slack, off):
            continue
        shifted = labels
        if not uniform or own_class[back] != own_class[out]:
            change = units.labels[back] - units.labels[out]
            shifted = shift(inside.utterances + change, outside.utterances - change)
        if shifted > max(cooling.budget, labels):
            continue
        difference = _difference(units, out, back)
        new_inside, new_outside = inside + difference, outside - difference if moving else outside
        new = measured(new_inside, new_outside)
        heat = cooling.temperature * start * (1 - step / cooling.steps)
        closer = labels > cooling.budget and shifted < labels
        if new < now and not closer and (heat <= 0 or chance >= np.exp((new - now) / heat)):
            continue
        test[i], source[j] = back, out
        inside, outside, now, total, labels = new_inside, new_outside, new, moved, shifted
        off = abs(total - size)
        largest = labels if largest > cooling.budget else max(largest, labels)
        accepted += 1
    return Annealed(test, source, start, now, largest, accepted)


def _labels(inside: WordTally, outside: WordTally) -> tuple[Array, Array]:
    return inside.utterances, outside.utterances


def _difference(units: Units, out: int, back: int) -> WordTally:
    """What a swap adds to the test set's tally."""
    classes = units.labels.shape[1]
    flat = np.zeros(classes * units.vocabulary)
    flat[units.cells[back]] += units.counts[back]
    flat[units.cells[out]] -= units.counts[out]
    return WordTally(flat.reshape(classes, units.vocabulary), units.labels[back] - units.labels[out])  # (C*V,) -> (C, V)
