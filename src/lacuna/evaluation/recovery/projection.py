"""What is shown of recoveries: some recovered vectors beside the true ones, seen from where the true ones vary most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.conditions import condition_of
from lacuna.evaluation.predict import inference
from lacuna.evaluation.recovery.measures import PairSums
from lacuna.evaluation.recovery.pairs import Place
from lacuna.evaluation.recovery.quality import RecoveryConfig, Run, check_judged
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.counts import Array
from lacuna.metrics.recovery.mmd import Sample
from lacuna.missing import Layout, MaskPlan
from lacuna.synthetic.duet import Oracle, settings_of
from lacuna.training.trained import TrainedRecognizer

POINTS = 400  # a model and modality
POINT_COLUMNS = [
    "corpus",
    "model",
    "seed",
    "pattern",
    "setting",
    "rate",
    "modality",
    "unit",
    "pair",
    "true_x",
    "true_y",
    "x",
    "y",
]
POINT_COLUMNS += ["explained"]


def recovered_points(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    plan: MaskPlan,
    *,
    most: int = POINTS,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Some recovered vectors beside the true ones, in the two directions in which the true ones vary most.

    Args:
        recognizers: that recover; of each label the first training seed is shown.
        corpus: a view on whole dialogues of the split to show.
        plan: what is taken.
        most: pairs of a model and modality; a fixed choice, the same for every model.
        batch_size: utterances in a forward pass.
        device: where to compute.

    Returns:
        One row a model, modality and pair: seed, condition, unit, the number of the pair, both points, and ``explained``, the
        share of the true vectors' variance in the two directions. These are principal axes of the true vectors shown, in
        standardised units. Of a modality the unit with more pairs is shown, and ``utterance`` rather than ``frame``. On a
        generated corpus the oracle is there too. No rows where nothing is missing.

    Raises:
        ConfigError: a recogniser does not recover, or their statistics differ.
        DataError: the corpus does not fit or shares a dialogue with training, or a recovery is not finite.
    """
    first: dict[str, TrainedRecognizer] = {}
    for trained in sorted(recognizers, key=lambda r: r.seed):
        first.setdefault(trained.variant, trained)
    chosen = [first[label] for label in dict.fromkeys(r.variant for r in recognizers)]
    check_judged(chosen, corpus)
    if not chosen or not len(corpus):
        return pd.DataFrame(columns=POINT_COLUMNS)
    run = Run(chosen, corpus, replace(RecoveryConfig(replicates=2), vectors=most, batch_size=batch_size), device)
    mask = plan.over(Layout.of(corpus))
    shown: list[tuple[str, int, dict[Place, PairSums]]] = []
    for trained in chosen:
        with inference(trained.model, device):
            shown.append((trained.variant, trained.seed, run.filled(trained, mask)))
    if settings_of(corpus) is not None:
        shown.append((CEILING, 0, run.collect(run.loader, mask, run.best(Oracle.of(corpus), mask))))
    condition = condition_of(plan, mask.measured())
    tables = []
    for modality, unit in _units(shown[0][2]):
        truth = shown[0][2][modality, unit].sample
        middle, axes, explained = principal(truth.truth)
        for model, seed, cells in shown:
            points = _projected(cells[modality, unit].sample, middle, axes)
            head = dict(zip(POINT_COLUMNS, [corpus.name, model, seed, *condition.key[:3], modality, unit], strict=False))
            tables.append(pd.DataFrame(head | points | {"explained": explained})[POINT_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=POINT_COLUMNS)


def principal(vectors: Array) -> tuple[Array, Array, float]:
    """Mean (d,), the first two principal axes (d, 2) and their share of the variance; signs are fixed, missing axes are zeros."""
    middle = vectors.mean(axis=0)
    _, lengths, rows = np.linalg.svd(vectors - middle, full_matrices=False)
    axes = np.zeros((vectors.shape[1], 2))
    axes[:, : min(2, len(rows))] = rows[:2].T
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.where(axes[largest, [0, 1]] < 0, -1.0, 1.0)
    total = float(np.square(lengths).sum())
    return middle, axes, float(np.square(lengths[:2]).sum()) / total if total > 0 else float("nan")


def _units(cells: dict[Place, PairSums]) -> list[Place]:
    """Of each modality the unit with more pairs in the sample."""
    best: dict[str, tuple[int, str]] = {}
    for (modality, unit), cell in cells.items():
        best[modality] = max(best.get(modality, (0, "")), (len(cell.sample.keys), unit))
    return [(modality, unit) for modality, (_, unit) in best.items()]


def _projected(sample: Sample, middle: Array, axes: Array) -> dict[str, Any]:
    true, found = (sample.truth - middle) @ axes, (sample.guess - middle) @ axes  # (R, d) -> (R, 2)
    columns = {"true_x": true[:, 0], "true_y": true[:, 1], "x": found[:, 0], "y": found[:, 1]}
    return {"pair": np.arange(len(true))} | columns
