"""What a model loses from one test to another, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.evaluation.bootstrap import BIASED, Bootstrap, Setting, interval, p_value
from lacuna.metrics.counts import Array
from lacuna.metrics.curves import auilc

GAPS = [
    "test", "model", "pattern", "setting", "metric", "measure", "rate", "gap", "low", "high", "p_value", "constant_gap",
    "constant_low", "constant_high", "seeds", "n_iid", "n",
]  # fmt: skip


def with_test(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several tests under each other, with a first column ``test``."""
    parts = []
    for name, table in tables.items():
        part = table.copy()
        part.insert(0, "test", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def gaps(drawn: Mapping[str, Bootstrap], reference: str, level: float = 0.95) -> pd.DataFrame:
    """How much worse every model is on each test than on the reference.

    Resampling raises a calibration error, the more so the smaller the test, and where sizes differ this does not cancel. Its
    replicates are mirrored at the measured gap, so that intervals are basic, as in :func:`lacuna.evaluation.tables.summarise`;
    a gap may be negative, so nothing is cut off at 0.

    Args:
        drawn: by test, made with weights of :func:`lacuna.evaluation.shift.resample.drawn_together`, so that dialogues that both
            share cancel and others are independent; all of the same models, seeds and settings.
        reference: the test that the others are compared with.
        level: of the intervals.

    Returns:
        test, model, pattern, setting, metric, measure (``at_rate``, or ``auilc`` with rate NaN), rate, gap (positive = worse
        than on the reference, whatever the metric's direction), low, high, p_value (two-sided, uncorrected), constant_gap with
        its interval (what the constant answer loses: the part that label shift alone explains), seeds, n_iid, n.

    Raises:
        ConfigError: the tests were not scored under the same conditions.
    """
    base = drawn[reference]
    rows: list[dict[str, object]] = []
    for test, other in drawn.items():
        if test == reference:
            continue
        keys = [[(s.pattern, s.setting, s.rate) for s in d.settings] for d in (base, other)]
        if keys[0] != keys[1] or base.metrics != other.metrics or list(base.models) != list(other.models):
            raise ConfigError(f"'{test}' and '{reference}' were not scored with the same models, metrics and missing rates")
        signs = np.array([1.0 if m.higher else -1.0 for m in base.metrics])
        biased = np.array([m.name in BIASED for m in base.metrics])
        fewest = min(base.dialogues, other.dialogues)
        flat = signs * (base.constant - other.constant)
        flat_draws = _mirrored(signs * (base.constant_draws - other.constant_draws), flat, biased)  # (B, M)
        constant = interval(flat_draws, level, fewest)
        for name, model in base.models.items():
            second = other.models[name]
            point = signs * (model.points.mean(axis=0) - second.points.mean(axis=0))  # (Q, M)
            draws = signs * (model.draws - second.draws)  # (B, Q, M)
            for pattern, setting, measure, rate, value, replicated in _blocks(base.settings, point, draws):
                mirrored = _mirrored(replicated, value, biased)
                low, high = interval(mirrored, level, fewest)
                p = p_value(mirrored, fewest)
                for m, metric in enumerate(base.metrics):
                    row: dict[str, object] = {"test": test, "model": name, "pattern": pattern, "setting": setting}
                    row |= {"metric": metric.name, "measure": measure, "rate": rate}
                    row |= {"gap": value[m], "low": low[m], "high": high[m], "p_value": p[m], "constant_gap": flat[m]}
                    row |= {"constant_low": constant[0][m], "constant_high": constant[1][m], "seeds": len(model.seeds)}
                    row |= {"n_iid": base.utterances, "n": other.utterances}
                    rows.append(row)
    return pd.DataFrame(rows, columns=GAPS)


def _mirrored(draws: Array, point: Array, biased: NDArray[np.bool_]) -> Array:
    """Replicates (B, M) of which those of biased metrics (M,) are mirrored at the value (M,)."""
    return np.where(biased, 2 * point - draws, draws)


def _blocks(settings: tuple[Setting, ...], point: Array, draws: Array) -> list[tuple[str, str, str, float, Array, Array]]:
    """Every setting by itself, and the area under every curve: values (M,) and replicates (B, M)."""
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
