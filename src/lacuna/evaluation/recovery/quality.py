"""Recovery quality: errors, moments, MMD and calibration, beside the mean fill and the exact conditional mean.

:mod:`lacuna.evaluation.recovery.pairs` defines which vectors are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.recovery.collect import Cells, Collector, PlanSums, RecoveryConfig
from lacuna.evaluation.recovery.measures import Measuring
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.bootstrap import resample_weights
from lacuna.missing import MaskPlan
from lacuna.training.trained import TrainedRecognizer

MEAN_FILL = "mean fill"  # zeros, in standardised units
COLUMNS = ["corpus", "model", "seed", "pattern", "setting", "rate", "mask_seed", "measured_rate", "modality", "unit", "measure"]
QUALITY_COLUMNS = [*COLUMNS, "value", "low", "high", "n", "dialogues"]
Row = dict[str, Any]


def score_recovery(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    config: RecoveryConfig | None = None,
    *,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return the quality of recovered values under every plan. Batches are streamed; memory does not grow with the corpus.

    Args:
        recognizers: that recover, trained with the same statistics; no model and seed twice.
        corpus: a view on whole dialogues of the split to score.
        plans: masks to score under.
        config: settings; bounds on utterances, draws, pairs and permutations keep the cost below that of scoring.
        device: where to compute.

    Returns:
        One row for each measurement: corpus, model, seed, pattern, setting, rate, mask_seed, measured_rate, modality, unit,
        measure, value, low, high, n (pairs), dialogues (with a pair; bounds are NaN with fewer than
        :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES`). Beside the recognisers there are ``mean fill`` and, on a generated
        corpus, ``oracle``, the exact conditional mean. No rows where nothing is missing.

        Measures are those of :meth:`Moments.measures`; ``mmd`` (squared, unbiased, so it may be negative), ``mmd_null``
        (low to high: where ``mmd`` lies if recovered and true vectors have the same distribution) and ``mmd_p``; for
        samplers those of :meth:`Ranks.measures`, and all of the former for one draw, as ``sample_mse`` and so on; ``gain``:
        1 - MSE / MSE of the mean fill; and on a generated corpus ``share_of_oracle``: (MSE of mean fill - MSE) / (MSE of mean
        fill - MSE of the oracle), NaN where the oracle is not significantly, or by less than 2%, better than the mean fill.

    Raises:
        ConfigError: a recogniser does not recover or is given twice, or their statistics differ.
        DataError: the corpus does not fit or shares a dialogue with training, or a recovered value is not finite.
    """
    config = config or RecoveryConfig()
    if not recognizers or not len(corpus):
        return pd.DataFrame(columns=QUALITY_COLUMNS)
    collector = Collector(recognizers, corpus, config, device)
    measuring = measuring_of(collector)
    rows = [row for plan in plans for row in quality_rows(corpus.name, collector.collect(plan), measuring)]
    return pd.DataFrame(rows, columns=QUALITY_COLUMNS)


def measuring_of(collector: Collector) -> Measuring:
    """Return the measures of the groups of a collector, with one set of bootstrap weights for every plan and model."""
    config = collector.config
    weights = resample_weights([config.seed, 0], collector.groups, config.replicates)  # (B, G)
    return Measuring(weights, config.level, config.permutations, config.coverage, config.seed)


def quality_rows(corpus: str, sums: PlanSums, measuring: Measuring) -> list[Row]:
    """Return the rows of one plan: the mean fill, the oracle, then the models with their draws."""
    fill, oracle = sums.mean_fill, sums.oracle
    blocks: list[tuple[str, int, Cells, bool]] = [(MEAN_FILL, 0, fill, True)]
    if oracle is not None:
        blocks.append((CEILING, 0, oracle, True))
    for model in sums.models:
        blocks += [(model.model, model.seed, model.filled, True), (model.model, model.seed, model.drawn, False)]
    rows: list[Row] = []
    for name, seed, cells, is_filled in blocks:
        head = [corpus, name, seed, *sums.condition.key, sums.condition.measured]
        for place, cell in sorted(cells.items()):
            measures = measuring.measures(cell)
            if is_filled:
                measures["gain"] = measuring.gain(fill[place].moments, cell.moments)
                if oracle is not None:
                    measures["share_of_oracle"] = measuring.share(fill[place].moments, cell.moments, oracle[place].moments)
            per_group = cell.moments.per_group
            sizes = int(per_group.sum()), int(np.count_nonzero(per_group))
            for measure, numbers in measures.items():
                values = [*head, *place, measure, *map(float, numbers), *sizes]
                rows.append(dict(zip(QUALITY_COLUMNS, values, strict=True)))
    return rows
