"""Tidy tables from a bootstrap: every value with its interval and beside the constant answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError
from lacuna.evaluation.bootstrap import BIASED, Bootstrap, interval, mirrored, p_value
from lacuna.metrics.counts import Array
from lacuna.metrics.curves import auilc, effective_robustness, relative_robustness
from lacuna.metrics.scores import Metric

SUBSETS, SHARE = "subset_mean", "share_of_ceiling"
CEILING = "oracle"  # the name under which the ceiling of a generated corpus is scored
Row = dict[str, object]


def summarise(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """Every model, setting and metric.

    Args:
        drawn: replicates.
        level: of the intervals.

    Returns:
        corpus, model, pattern, setting, rate, measured_rate, metric, mean (over seeds and masks), low, high, sd_over_seeds (NaN
        with one seed), seeds, mask_seeds, n (labelled utterances), constant (the constant answer's value), gain_low, gain_high
        (interval of the paired lead over the constant answer; positive = better, whatever the metric's direction).
    """
    signs = np.array([1.0 if m.higher else -1.0 for m in drawn.metrics])
    rows: list[Row] = []
    for name, model in drawn.models.items():
        low, high = interval(model.draws, level, drawn.dialogues)  # (Q, M)
        gain_low, gain_high = interval(signs * (model.draws - drawn.constant_draws[:, None]), level, drawn.dialogues)
        mean, spread = model.points.mean(axis=0), _spread(model.points)
        biased = np.array([m.name in BIASED for m in drawn.metrics])
        low[:, biased], high[:, biased] = mirrored(low[:, biased], high[:, biased], mean[:, biased])
        for q, at in enumerate(drawn.settings):
            for m, metric in enumerate(drawn.metrics):
                row: Row = {"corpus": drawn.corpus, "model": name, "pattern": at.pattern, "setting": at.setting, "rate": at.rate}
                row |= {"measured_rate": at.measured, "metric": metric.name}
                row |= {"mean": mean[q, m], "low": low[q, m], "high": high[q, m], "sd_over_seeds": spread[q, m]}
                row |= {"seeds": len(model.seeds), "mask_seeds": at.mask_seeds, "n": drawn.utterances}
                row |= {"constant": drawn.constant[m], "gain_low": gain_low[q, m], "gain_high": gain_high[q, m]}
                rows.append(row)
    return pd.DataFrame(rows)


def areas(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """One number a model, pattern and metric, with its interval; :mod:`lacuna.metrics.curves` defines the measures.

    Where the ceiling was scored too (:mod:`lacuna.evaluation.ceiling`), every pattern has ``share_of_ceiling``: the lead of its
    area over the constant answer, as a part of the ceiling's own lead.

    Patterns with several rates have ``auilc`` and, if rate 0 is among them, ``relative_robustness`` and
    ``effective_robustness``, taken of the curve that is averaged over seeds. Patterns with one rate and several settings,
    such as ``fixed``, have ``subset_mean``, the plain mean over settings.

    Args:
        drawn: replicates.
        level: of the intervals.

    Returns:
        corpus, model, pattern, setting, metric, measure, mean, low, high, sd_over_seeds, seeds, mask_seeds, n, constant.
    """
    rows: list[Row] = []
    for span in spans(drawn):
        for measure in span.measures:
            for m, metric in enumerate(drawn.metrics):
                constant, replicated = drawn.constant[m], drawn.constant_draws[:, m]
                flat = np.full(len(span.at), constant)
                baseline = 0.0 if measure == "effective_robustness" else float(span.value(measure, metric, flat, constant))
                for name, model in drawn.models.items():
                    curves = model.points[:, span.at, m]  # (S, R)
                    draws = span.value(measure, metric, model.draws[:, span.at, m], replicated)  # (B,)
                    low, high = interval(draws, level, drawn.dialogues)
                    mean = span.value(measure, metric, curves.mean(axis=0), constant)
                    if metric.name in BIASED:
                        low, high = mirrored(low, high, mean)
                    row: Row = {"corpus": drawn.corpus, "model": name, "pattern": span.pattern, "setting": span.setting}
                    row |= {"metric": metric.name, "measure": measure, "mean": float(mean)}
                    row |= {"low": float(low), "high": float(high)}
                    row |= {"sd_over_seeds": float(_spread(span.value(measure, metric, curves, constant)))}
                    row |= {"seeds": len(model.seeds), "mask_seeds": drawn.settings[span.at[-1]].mask_seeds}
                    row |= {"n": drawn.utterances, "constant": baseline}
                    rows.append(row)
        rows += _shares(drawn, span, level)
    return pd.DataFrame(rows)


def _shares(drawn: Bootstrap, span: RateSpan, level: float) -> list[Row]:
    """Rows of ``share_of_ceiling``; none without a ceiling, and none for calibration, where a constant may be perfect.

    The most probable class is the ceiling of accuracy, its probabilities of log-loss; of F1 they are a close reference.
    """
    rows: list[Row] = []
    ceiling = drawn.models.get(CEILING)
    for m, metric in enumerate(drawn.metrics if ceiling is not None else ()):
        if ceiling is None or metric.name in BIASED:
            continue
        constant, replicated = drawn.constant[m], drawn.constant_draws[:, m]
        best = span.area(ceiling.points.mean(axis=0)[span.at, m]) - constant
        best_draws = span.area(ceiling.draws[:, span.at, m]) - replicated
        for name, model in drawn.models.items():
            draws = _part(span.area(model.draws[:, span.at, m]) - replicated, best_draws)
            low, high = interval(draws, level, drawn.dialogues)
            shares = _part(span.area(model.points[:, span.at, m]) - constant, best)  # (S,)
            row: Row = {"corpus": drawn.corpus, "model": name, "pattern": span.pattern, "setting": span.setting}
            row |= {"metric": metric.name, "measure": SHARE, "mean": float(shares.mean())}
            row |= {"low": float(low), "high": float(high), "sd_over_seeds": float(_spread(shares))}
            row |= {"seeds": len(model.seeds), "mask_seeds": drawn.settings[span.at[-1]].mask_seeds}
            row |= {"n": drawn.utterances, "constant": 0.0}
            rows.append(row)
    return rows


def compare(
    drawn: Bootstrap, baseline: str | None = None, pairs: Sequence[tuple[str, str]] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Paired differences of models on the same dialogues and masks.

    Args:
        drawn: replicates.
        baseline: compare every other model with this one; all pairs if neither this nor ``pairs`` is given.
        pairs: compare these (a, b).
        level: of the intervals.

    Returns:
        corpus, model_a, model_b, pattern, setting, metric, measure, rate, difference (a - b, so for errors negative = a is
        better), low, high, p_value (two-sided, uncorrected, at least 2 / replicates). Measures are ``auilc`` or
        ``subset_mean`` (rate NaN), and ``at_rate``.

    Raises:
        ConfigError: a model was not bootstrapped.
    """
    if pairs is None:
        names = list(drawn.models)
        if baseline is not None and baseline not in names:
            raise ConfigError(f"no sweep of model '{baseline}' to compare with; there are: {', '.join(names)}")
        pairs = list(combinations(names, 2)) if baseline is None else [(n, baseline) for n in names if n != baseline]
    rows: list[Row] = []
    for a, b in pairs:
        if unknown := [n for n in (a, b) if n not in drawn.models]:
            raise ConfigError(f"no sweep of model '{unknown[0]}'; there are: {', '.join(drawn.models)}")
        first, second = drawn.models[a], drawn.models[b]
        point = first.points.mean(axis=0) - second.points.mean(axis=0)  # (Q, M)
        draws = first.draws - second.draws  # (B, Q, M)
        blocks = [
            (s.pattern, s.setting, "at_rate", s.rate, point[q], draws[:, q]) for q, s in enumerate(drawn.settings)
        ]  # (M,) and (B, M)
        for span in spans(drawn):
            value, replicated = span.area(point[span.at].T), span.area(draws[:, span.at].transpose(0, 2, 1))
            blocks.append((span.pattern, span.setting, span.measures[0], float("nan"), value, replicated))
        for pattern, setting, measure, rate, value, replicated in blocks:
            low, high = interval(replicated, level, drawn.dialogues)
            p = p_value(replicated, drawn.dialogues)
            for m, metric in enumerate(drawn.metrics):
                row: Row = {"corpus": drawn.corpus, "model_a": a, "model_b": b, "pattern": pattern, "setting": setting}
                row |= {"metric": metric.name, "measure": measure, "rate": rate}
                row |= {"difference": value[m], "low": low[m], "high": high[m], "p_value": p[m]}
                rows.append(row)
    return pd.DataFrame(rows)


def above_constant(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary with a ``verdict`` on each row against the constant answer, by the paired interval.

    ``above``: the whole interval of the lead is positive. ``below``: all of it is negative. ``undecided``: it holds 0.
    ``undefined``: there is no interval. A lead below a millionth is rounding and counts as none.
    """
    low, high = summary["gain_low"], summary["gain_high"]
    tiny = 1e-6 * np.maximum(1, summary["constant"].abs())
    verdict = np.select([low.isna() | high.isna(), low > tiny, high < -tiny], ["undefined", "above", "below"], "undecided")
    return summary.assign(verdict=verdict)


def above_ceiling(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """Areas and subset means in which a model is more accurate than the best possible answers, beyond the paired interval.

    Accuracy is what the most probable class maximises, so there should be none; one tells of a leak, or of a wrong ceiling. The
    level is raised for the number of rows looked at (Bonferroni), or chance alone would raise the alarm.

    Raises:
        ConfigError: the ceiling was not scored.
    """
    cells = max(1, len(spans(drawn)) * (len(drawn.models) - 1))
    table = compare(drawn, baseline=CEILING, level=1 - (1 - level) / cells)
    own = table[(table["metric"] == "accuracy") & (table["measure"] != "at_rate")]
    return own[own["low"] > 0].reset_index(drop=True)


@dataclass(frozen=True)
class RateSpan:
    """Settings that make one number together.

    Attributes:
        at: R positions among the settings of the bootstrap.
        rates: R rates, or ``None`` if they are not points of a curve.
        measures: what can be made of them, an area first.
    """

    pattern: str
    setting: str
    at: list[int]
    rates: list[float] | None
    measures: tuple[str, ...]

    def area(self, values: Array) -> Array:
        """Area under the curve, or mean over the settings: (..., R) -> (...)."""
        return np.asarray(values.mean(axis=-1)) if self.rates is None else auilc(self.rates, values)

    def value(self, measure: str, metric: Metric, values: Array, constant: Array | float) -> Array:
        """One measure: values (..., R) and the constant answer's (...) -> (...)."""
        if self.rates is not None and measure == "relative_robustness":
            return relative_robustness(self.rates, values, metric.higher)
        if self.rates is not None and measure == "effective_robustness":
            return effective_robustness(self.rates, values, constant, metric.higher)
        return self.area(values)


def spans(drawn: Bootstrap) -> list[RateSpan]:
    """What makes one number together: the rates of each pattern and setting, and the settings of patterns with one rate."""
    curves: dict[tuple[str, str], list[int]] = {}
    for q, s in enumerate(drawn.settings):
        curves.setdefault((s.pattern, s.setting), []).append(q)
    found, single = [], dict[str, list[int]]()
    for (pattern, setting), at in curves.items():
        if len(at) == 1:
            single.setdefault(pattern, []).extend(at)
            continue
        rates = [drawn.settings[q].rate for q in at]
        robustness = ("relative_robustness", "effective_robustness") if rates[0] == 0 else ()
        found.append(RateSpan(pattern, setting, at, rates, ("auilc", *robustness)))
    return found + [RateSpan(pattern, "", at, None, (SUBSETS,)) for pattern, at in single.items() if len(at) > 1]


def _part(lead: Array, best: Array) -> Array:
    """``lead / best``; NaN where the best answers have no lead over the constant one themselves."""
    return np.asarray(np.divide(lead, best, out=np.full(np.shape(lead), np.nan), where=np.abs(best) > 1e-12))


def _spread(values: Array) -> Array:
    """Standard deviation over seeds (S, ...) -> (...), NaN with one."""
    return np.asarray(values.std(axis=0, ddof=1)) if len(values) > 1 else np.full(values.shape[1:], np.nan)
