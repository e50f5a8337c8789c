"""Simulated annealing by swaps: exchange units until the word-label association of a test set differs from training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.shift.association import Array, WordCounts, log_odds, mean_square_difference, total_variation
from lacuna.shift.words import UtteranceWords


@dataclass(frozen=True, eq=False)
class Units:
    """U units that move as a whole: single utterances, or whole dialogues.

    Attributes:
        size: (U,) int64 number of utterances.
        labels: (U, C) float64 number of utterances of each class.
        cells: U int64 arrays of the cells ``class * V + word`` that occur in the unit.
        counts: U float64 arrays, the number of its utterances with each of these cells.
        vocabulary: number of words V.
    """

    size: NDArray[np.int64]
    labels: Array
    cells: Sequence[NDArray[np.int64]]
    counts: Sequence[Array]
    vocabulary: int

    def count_words(self, units: NDArray[np.int64]) -> WordCounts:
        """Return the summed counts of some units ((K,) int64)."""
        n_classes = self.labels.shape[1]
        flat = np.zeros(n_classes * self.vocabulary)
        for unit in units.tolist():
            flat[self.cells[unit]] += self.counts[unit]
        return WordCounts(flat.reshape(n_classes, self.vocabulary), self.labels[units].sum(axis=0))  # (C*V,) -> (C, V)


def units_of(
    unit_of_row: NDArray[np.int64], n_units: int, strata: NDArray[np.int64], n_classes: int, words: UtteranceWords | None
) -> Units:
    """Group utterances into units.

    Args:
        unit_of_row: (N,) int64 unit of each utterance, -1 = in none.
        n_units: number of units U.
        strata: (N,) int64 classes, -1 = unlabelled: such an utterance moves with its unit and counts only in its size.
        n_classes: number of classes C.
        words: the words of the N utterances, or ``None``.
    """
    inside = unit_of_row >= 0
    known = inside & (strata >= 0)
    labels = np.zeros((n_units, n_classes))
    np.add.at(labels, (unit_of_row[known], strata[known]), 1)
    vocabulary = 0 if words is None else len(words.names)
    cells, counts = [np.zeros(0, np.int64)] * n_units, [np.zeros(0)] * n_units
    if words is not None:
        kept = known[words.row]
        row, word = words.row[kept], words.word[kept]
        width = n_classes * vocabulary
        keys, n_utterances = np.unique(unit_of_row[row] * width + strata[row] * vocabulary + word, return_counts=True)
        edges = np.searchsorted(keys, np.arange(n_units + 1) * width)
        for unit in range(n_units):
            of_unit = slice(edges[unit], edges[unit + 1])
            cells[unit], counts[unit] = keys[of_unit] - unit * width, n_utterances[of_unit].astype(np.float64)
    return Units(np.bincount(unit_of_row[inside], minlength=n_units), labels, cells, counts, vocabulary)


@dataclass(frozen=True)
class AnnealingConfig:
    """Settings of :func:`anneal`.

    Attributes:
        steps: number of proposed swaps.
        temperature: at the start, as a share of the divergence at the start; it falls linearly to 0.
        budget: largest total variation between the labels of the test set and those of each anchor.
        slack: largest difference between the size of the test set and the requested size, in utterances.
    """

    steps: int = 20_000
    temperature: float = 0.01
    budget: float = 0.05
    slack: int = 0


@dataclass(frozen=True, eq=False)
class Annealed:
    """Result of :func:`anneal`.

    Attributes:
        test: units of the test set.
        source: units outside of it.
        start: divergence before.
        end: divergence after.
        largest: largest label shift after an accepted swap, counted once the budget was met.
        accepted: number of accepted swaps.
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
    reference: WordCounts | None,
    anchors: Sequence[Array],
    share: Array,
    prior: float,
    config: AnnealingConfig,
    rng: np.random.Generator,
) -> Annealed:
    """Swap units between a test set and a source so that the divergence of the test set from training grows.

    The state at the end is returned, not the best one on the way: the temperature ends at 0, so the end is a local optimum. Once
    label shift and size are within their bounds they stay there; a start outside is first brought inside by swaps that come
    closer.

    Args:
        units: all units.
        test: units of the test set at the start.
        source: units that may be exchanged for them.
        size: number of utterances that the test set should have.
        reference: word counts of the training set; ``None`` = the source is the training set and changes with each swap.
        anchors: label counts (C,) that the test set must stay close to; those of the source are added if it is the training set.
        share: (V,) of :func:`lacuna.shift.association.word_shares`.
        prior: weight of the prior.
        config: number of steps, temperature, and bounds.
        rng: source of all random numbers.

    Returns:
        Test set and source, and what the search measured.
    """
    test, source = test.copy(), source.copy()
    inside, outside = units.count_words(test), units.count_words(source)
    source_is_training = reference is None
    fixed = None if reference is None else log_odds(reference, share, prior)

    def diverge(test_words: WordCounts, source_words: WordCounts) -> float:
        training = log_odds(source_words, share, prior) if fixed is None else fixed
        return mean_square_difference(training, log_odds(test_words, share, prior), share)

    def label_shift(test_labels: Array, source_labels: Array) -> float:
        others = (*anchors, source_labels) if source_is_training else anchors
        return max((total_variation(test_labels, other) for other in others), default=0.0)

    now, total = diverge(inside, outside), int(units.size[test].sum())
    shift, off_size = label_shift(inside.utterances, outside.utterances), abs(total - size)
    start, largest, accepted = now, shift, 0
    sizes, one_label_each = units.size.tolist(), bool((units.labels.sum(axis=1) == 1).all())
    main_class = units.labels.argmax(axis=1).tolist()
    if not len(test) or not len(source):
        return Annealed(test, source, start, now, shift, 0)
    for step in range(config.steps):
        i, j = int(rng.integers(len(test))), int(rng.integers(len(source)))
        chance = float(rng.random())
        leaving, entering = int(test[i]), int(source[j])
        new_total = total + sizes[entering] - sizes[leaving]
        if abs(new_total - size) > max(config.slack, off_size):
            continue
        new_shift = shift
        if not one_label_each or main_class[entering] != main_class[leaving]:
            change = units.labels[entering] - units.labels[leaving]
            new_shift = label_shift(inside.utterances + change, outside.utterances - change)
        if new_shift > max(config.budget, shift):
            continue
        difference = _difference(units, leaving, entering)
        new_inside, new_outside = inside + difference, outside - difference if source_is_training else outside
        new = diverge(new_inside, new_outside)
        heat = config.temperature * start * (1 - step / config.steps)
        closer = shift > config.budget and new_shift < shift
        if new < now and not closer and (heat <= 0 or chance >= np.exp((new - now) / heat)):
            continue
        test[i], source[j] = entering, leaving
        inside, outside, now, total, shift = new_inside, new_outside, new, new_total, new_shift
        off_size = abs(total - size)
        largest = shift if largest > config.budget else max(largest, shift)
        accepted += 1
    return Annealed(test, source, start, now, largest, accepted)


def _difference(units: Units, leaving: int, entering: int) -> WordCounts:
    """Return what a swap adds to the word counts of the test set."""
    n_classes = units.labels.shape[1]
    flat = np.zeros(n_classes * units.vocabulary)
    flat[units.cells[entering]] += units.counts[entering]
    flat[units.cells[leaving]] -= units.counts[leaving]
    words = flat.reshape(n_classes, units.vocabulary)  # (C*V,) -> (C, V)
    return WordCounts(words, units.labels[entering] - units.labels[leaving])
