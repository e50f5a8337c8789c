"""Generalisation gaps: how much worse a model is on one test than on another, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.evaluation.replicates import BIASED, Bootstrap, Setting
from lacuna.metrics.bootstrap import interval, p_value
from lacuna.metrics.counts import Array
from lacuna.metrics.curves import auilc

GAPS = [
    "test", "model", "pattern", "setting", "metric", "measure", "rate", "gap", "low", "high", "p_value", "constant_gap",
    "constant_low", "constant_high", "seeds", "n_iid", "n", "dialogues",
]  # fmt: skip


def with_test(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of several tests concatenated, with a first column ``test``."""
    parts = []
    for name, table in tables.items():
        part = table.copy()
        part.insert(0, "test", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def gaps(drawn: Mapping[str, Bootstrap], reference: str, level: float = 0.95) -> pd.DataFrame:
    """Return how much worse every model is on each test than on the reference test.

    Resampling raises a calibration error, more so on a smaller test, and this does not cancel between tests of different size.
    Its replicates are reflected at the measured gap, so that the intervals are basic, as in
    :func:`lacuna.evaluation.tables.summarise`. A gap may be negative, so intervals are not cut off at 0.

    Args:
        drawn: by test, of the same models, seeds and settings, with weights of
            :func:`lacuna.evaluation.shift.resample.joint_weights`, so that shared dialogues cancel and others are independent.
        reference: name of the test that the others are compared with.
        level: of the intervals.

    Returns:
        One row for each test, model, setting or curve, and metric: test, model, pattern, setting, metric, measure (``at_rate``,
        or ``auilc`` with rate NaN), rate, gap (positive = worse than on the reference, whatever the metric's direction), low,
        high, p_value (two-sided, uncorrected), constant_gap, constant_low, constant_high (gap of the majority-class or mean
        baseline: the part that label shift alone explains), seeds, n_iid, n, dialogues (of the test with fewer dialogues).

    Raises:
        ConfigError: the tests were not scored under the same conditions.
    """
    base = drawn[reference]
    rows: list[dict[str, object]] = []
    for test, other in drawn.items():
        if test == reference:
            continue
        conditions = [[(s.pattern, s.setting, s.rate) for s in d.settings] for d in (base, other)]
        if conditions[0] != conditions[1] or base.metrics != other.metrics or list(base.models) != list(other.models):
            raise ConfigError(f"tests '{test}' and '{reference}' were not scored with the same models, metrics and missing rates")
        signs = np.array([1.0 if m.higher else -1.0 for m in base.metrics])
        biased = np.array([m.name in BIASED for m in base.metrics])
        fewest = min(base.dialogues, other.dialogues)
        baseline_gap = signs * (base.baseline - other.baseline)
        baseline_draws = _reflected(signs * (base.baseline_draws - other.baseline_draws), baseline_gap, biased)  # (B, M)
        baseline_low, baseline_high = interval(baseline_draws, level, fewest)
        for name, model in base.models.items():
            on_other = other.models[name]
            point = signs * (model.points.mean(axis=0) - on_other.points.mean(axis=0))  # (Q, M)
            draws = signs * (model.draws - on_other.draws)  # (B, Q, M)
            for pattern, setting, measure, rate, value, replicated in _blocks(base.settings, point, draws):
                reflected = _reflected(replicated, value, biased)
                low, high = interval(reflected, level, fewest)
                p = p_value(reflected, fewest)
                for m, metric in enumerate(base.metrics):
                    row: dict[str, object] = {"test": test, "model": name, "pattern": pattern, "setting": setting}
                    row |= {"metric": metric.name, "measure": measure, "rate": rate}
                    row |= {"gap": value[m], "low": low[m], "high": high[m], "p_value": p[m], "constant_gap": baseline_gap[m]}
                    row |= {"constant_low": baseline_low[m], "constant_high": baseline_high[m], "seeds": len(model.seeds)}
                    row |= {"n_iid": base.utterances, "n": other.utterances, "dialogues": fewest}
                    rows.append(row)
    return pd.DataFrame(rows, columns=GAPS)


def _reflected(draws: Array, point: Array, biased: NDArray[np.bool_]) -> Array:
    """Return replicates (B, M) with those of biased metrics (M,) reflected at the measured value (M,)."""
    return np.where(biased, 2 * point - draws, draws)


def _blocks(settings: tuple[Setting, ...], point: Array, draws: Array) -> list[tuple[str, str, str, float, Array, Array]]:
    """Return value (M,) and replicates (B, M) of every setting, and of the area under every curve."""
    blocks = [(s.pattern, s.setting, "at_rate", s.rate, point[q], draws[:, q]) for q, s in enumerate(settings)]
    curves: dict[tuple[str, str], list[int]] = {}
    for q, s in enumerate(settings):
        curves.setdefault((s.pattern, s.setting), []).append(q)
    for (pattern, setting), at in curves.items():
        if len(at) > 1:
            rates = [settings[q].rate for q in at]
            area, replicated = auilc(rates, point[at].T), auilc(rates, draws[:, at].transpose(0, 2, 1))
            blocks.append((pattern, setting, "auilc", float("nan"), area, replicated))
    return blocks
