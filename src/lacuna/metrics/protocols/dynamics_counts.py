"""Emotion dynamics as sums over dialogues, so that a bootstrap over dialogues costs one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.dynamics import changes, edit_similarity, transitions
from lacuna.metrics.scores import ratio

METRICS = ("change_f1", "state_accuracy", "state_edit_similarity", "transition_macro_f1")
_FIXED = 7  # columns before those of the transitions


@dataclass(frozen=True, eq=False)
class DynamicsCounts:
    """Statistics of D dialogues: the four measures of the protocol ``dynamics`` are functions of their sums.

    Attributes:
        values: (D, 7 + 3 P) float64: dialogues; true, predicted and rightly predicted changes of dialogues; turns; right turns;
            edit similarities; then true, predicted and right steps of each of P transitions.
    """

    values: Array

    @classmethod
    def of(cls, truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> DynamicsCounts:
        """Return the statistics of dialogues.

        Args:
            truth: states of each dialogue, none of them empty.
            predicted: sequences of the same lengths; an empty state is no prediction.
        """
        steps = [(transitions(t), transitions(p)) for t, p in zip(truth, predicted, strict=True)]
        pairs = sorted({step for both in steps for one in both for step in one} - {""})
        column = {pair: index for index, pair in enumerate(pairs)}
        values = np.zeros((len(truth), _FIXED + 3 * len(pairs)))
        for row, (t, p, (true_steps, predicted_steps)) in enumerate(zip(truth, predicted, steps, strict=True)):
            true_change, predicted_change = changes(t), changes(p)
            values[row, :_FIXED] = (
                1,
                true_change,
                predicted_change,
                true_change and predicted_change,
                len(t),
                sum(a == b for a, b in zip(t, p, strict=True)),
                edit_similarity(t, [state for state in p if state]),
            )
            for a, b in zip(true_steps, predicted_steps, strict=True):
                for kind, step in enumerate((a, b, a if a == b else "")):
                    if step:
                        values[row, _FIXED + 3 * column[step] + kind] += 1
        return cls(values)

    def measures(self, weights: Array) -> Array:
        """Return the measures of resampled dialogues.

        Args:
            weights: (B, D) float64, how often each dialogue counts.

        Returns:
            (B, 4) float64 in the order of :data:`METRICS`; NaN where nothing changes in truth or prediction.
        """
        sums = weights @ self.values
        dialogues, true, predicted, both, turns, right, similarity = sums[:, :_FIXED].T
        steps = sums[:, _FIXED:].reshape(len(sums), -1, 3)  # (B, 3 P) -> (B, P, 3)
        size = steps[..., 0] + steps[..., 1]
        n_pairs = (size > 0).sum(axis=1)
        f1 = ratio(2 * steps[..., 2], size, 0.0).sum(axis=1)
        columns = [
            ratio(2 * both, true + predicted, np.nan),
            ratio(right, turns, np.nan),
            ratio(similarity, dialogues, np.nan),
            ratio(f1, n_pairs.astype(np.float64), np.nan),
        ]
        return np.stack(columns, axis=1)
