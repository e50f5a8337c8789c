"""Recovered vectors beside the true ones, projected on the two directions in which the true ones vary most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.recovery.collect import Cells, Collector, PlanSums, RecoveryConfig
from lacuna.evaluation.recovery.pairs import Place
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.mmd import Sample
from lacuna.missing import MaskPlan
from lacuna.training.trained import TrainedRecognizer

POINTS = 400  # pairs of a model and modality
POINT_COLUMNS = [
    "corpus", "model", "seed", "pattern", "setting", "rate", "modality", "unit", "pair",
    "true_x", "true_y", "x", "y", "explained",
]  # fmt: skip


def recovered_points(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    plan: MaskPlan,
    *,
    most: int = POINTS,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return some recovered vectors beside the true ones, in two dimensions.

    Args:
        recognizers: that recover; of each variant the first training seed is shown.
        corpus: a view on whole dialogues of the split to show.
        plan: mask.
        most: pairs of a model and modality; a fixed random choice, the same for every model.
        batch_size: utterances in a forward pass.
        device: where to compute.

    Returns:
        One row for each model, modality and pair: corpus, model, seed, pattern, setting, rate, modality, unit, pair (its number),
        true_x, true_y, x, y, explained (share of the variance of the true vectors in the two directions). The directions are the
        first two principal axes of the true vectors, in standardised units. Of each modality the unit with more pairs is shown.
        On a generated corpus the oracle is included. No rows where nothing is missing.

    Raises:
        ConfigError: a recogniser does not recover, or their statistics differ.
        DataError: the corpus does not fit or shares a dialogue with training, or a recovered value is not finite.
    """
    first: dict[str, TrainedRecognizer] = {}
    for trained in sorted(recognizers, key=lambda r: r.seed):
        first.setdefault(trained.variant, trained)
    chosen = [first[variant] for variant in dict.fromkeys(r.variant for r in recognizers)]
    if not chosen or not len(corpus):
        return pd.DataFrame(columns=POINT_COLUMNS)
    config = RecoveryConfig(vectors=most, batch_size=batch_size)
    return point_table(corpus.name, Collector(chosen, corpus, config, device).collect(plan, draws=False), most)


def point_table(corpus: str, sums: PlanSums, most: int = POINTS) -> pd.DataFrame:
    """Return the points of one plan, as :func:`recovered_points` does, from sums that were collected before."""
    first: dict[str, tuple[int, Cells]] = {}
    for model in sorted(sums.models, key=lambda m: m.seed):
        first.setdefault(model.model, (model.seed, model.filled))
    shown = [(name, *first[name]) for name in dict.fromkeys(m.model for m in sums.models)]
    if sums.oracle is not None:
        shown.append((CEILING, 0, sums.oracle))
    tables = []
    for place in _largest_units(sums.mean_fill):
        centre, axes, explained = principal(sums.mean_fill[place].sample.truth[:most])
        for model_name, seed, cells in shown:
            points = _projected(cells[place].sample, most, centre, axes)
            head = dict(zip(POINT_COLUMNS, [corpus, model_name, seed, *sums.condition.key[:3], *place], strict=False))
            tables.append(pd.DataFrame(head | points | {"explained": explained})[POINT_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=POINT_COLUMNS)


def principal(vectors: Array) -> tuple[Array, Array, float]:
    """Return the first two principal axes of some vectors.

    Args:
        vectors: (n, d) float64.

    Returns:
        Mean (d,), axes (d, 2) whose largest entry is positive, and their share of the variance, NaN without variance. A
        missing axis is zeros.

    Example:
        >>> _, axes, explained = principal(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
        >>> axes[:, 0].tolist(), explained
        ([1.0, 0.0], 1.0)
    """
    centre = vectors.mean(axis=0)
    _, lengths, rows = np.linalg.svd(vectors - centre, full_matrices=False)
    axes = np.zeros((vectors.shape[1], 2))
    axes[:, : min(2, len(rows))] = rows[:2].T
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.where(axes[largest, [0, 1]] < 0, -1.0, 1.0)
    total = float(np.square(lengths).sum())
    return centre, axes, float(np.square(lengths[:2]).sum()) / total if total > 0 else float("nan")


def _largest_units(cells: Cells) -> list[Place]:
    """Return the unit with more pairs in the sample, for each modality."""
    best: dict[str, tuple[int, str]] = {}
    for (modality, unit), cell in cells.items():
        best[modality] = max(best.get(modality, (0, "")), (len(cell.sample.keys), unit))
    return [(modality, unit) for modality, (_, unit) in best.items()]


def _projected(sample: Sample, most: int, centre: Array, axes: Array) -> dict[str, Any]:
    """Return the coordinates of the pairs with the smallest keys."""
    truth, guess = (sample.truth[:most] - centre) @ axes, (sample.guess[:most] - centre) @ axes  # (R, d) -> (R, 2)
    columns = {"true_x": truth[:, 0], "true_y": truth[:, 1], "x": guess[:, 0], "y": guess[:, 1]}
    return {"pair": np.arange(len(truth))} | columns
