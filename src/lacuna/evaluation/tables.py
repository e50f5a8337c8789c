"""Tidy tables from a bootstrap: every value with its interval and beside the majority-class (or mean) baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError
from lacuna.evaluation.replicates import BIASED, Bootstrap
from lacuna.metrics.bootstrap import basic_interval, interval, p_value
from lacuna.metrics.counts import Array
from lacuna.metrics.curves import auilc, effective_robustness, relative_robustness
from lacuna.metrics.scores import Metric

SUBSETS, SHARE = "subset_mean", "share_of_ceiling"
CEILING = "oracle"  # the name under which the ceiling of a generated corpus is scored
AREA_COLUMNS = ("corpus", "model", "pattern", "setting", "metric", "measure", "mean", "low", "high", "sd_over_seeds", "seeds")
Row = dict[str, object]


def summarise(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """Return the mean and interval of every model, setting and metric.

    Args:
        drawn: bootstrap replicates.
        level: of the intervals.

    Returns:
        One row for each model, setting and metric: corpus, model, pattern, setting, rate, measured_rate, metric, mean (over
        training seeds and masks), low, high, sd_over_seeds (NaN with one seed), seeds, mask_seeds, n (labelled utterances),
        dialogues (resampled units; bounds are NaN with fewer than :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES`), constant
        (value of the majority-class or mean baseline), gain_low, gain_high (interval of the paired difference to the baseline;
        positive = better than the baseline, whatever the metric's direction).
    """
    signs = np.array([1.0 if m.higher else -1.0 for m in drawn.metrics])
    rows: list[Row] = []
    for name, model in drawn.models.items():
        low, high = interval(model.draws, level, drawn.dialogues)  # (Q, M)
        gain_low, gain_high = interval(signs * (model.draws - drawn.baseline_draws[:, None]), level, drawn.dialogues)
        mean, spread = model.points.mean(axis=0), _spread(model.points)
        biased = np.array([m.name in BIASED for m in drawn.metrics])
        low[:, biased], high[:, biased] = basic_interval(low[:, biased], high[:, biased], mean[:, biased])
        for q, s in enumerate(drawn.settings):
            for m, metric in enumerate(drawn.metrics):
                row: Row = {"corpus": drawn.corpus, "model": name, "pattern": s.pattern, "setting": s.setting, "rate": s.rate}
                row |= {"measured_rate": s.measured, "metric": metric.name}
                row |= {"mean": mean[q, m], "low": low[q, m], "high": high[q, m], "sd_over_seeds": spread[q, m]}
                row |= {"seeds": len(model.seeds), "mask_seeds": s.mask_seeds, "n": drawn.utterances}
                row |= {"dialogues": drawn.dialogues, "constant": drawn.baseline[m]}
                row |= {"gain_low": gain_low[q, m], "gain_high": gain_high[q, m]}
                rows.append(row)
    return pd.DataFrame(rows)


def areas(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """Return one number for each model, pattern and metric, with its interval; :mod:`lacuna.metrics.curves` has the measures.

    Patterns with several rates have ``auilc`` and, if rate 0 is among them, ``relative_robustness`` and ``effective_robustness``
    of the curve averaged over seeds. Patterns with one rate and several settings, such as ``fixed``, have ``subset_mean``, the
    mean over settings. If the ceiling was scored too (:mod:`lacuna.evaluation.ceiling`), every pattern has ``share_of_ceiling``:
    the difference between the area of the model and that of the baseline, divided by the same difference of the ceiling.

    Args:
        drawn: bootstrap replicates.
        level: of the intervals.

    Returns:
        One row for each model, pattern, setting, metric and measure: corpus, model, pattern, setting, metric, measure, mean, low,
        high, sd_over_seeds, seeds, mask_seeds, n, dialogues, constant (the same measure of the majority-class or mean baseline).
    """
    rows: list[Row] = []
    for span in spans(drawn):
        for measure in span.measures:
            for m, metric in enumerate(drawn.metrics):
                baseline, baseline_draws = drawn.baseline[m], drawn.baseline_draws[:, m]
                flat = np.full(len(span.at), baseline)
                reference = 0.0 if measure == "effective_robustness" else float(span.value(measure, metric, flat, baseline))
                for name, model in drawn.models.items():
                    curves = model.points[:, span.at, m]  # (S, R)
                    draws = span.value(measure, metric, model.draws[:, span.at, m], baseline_draws)  # (B,)
                    low, high = interval(draws, level, drawn.dialogues)
                    mean = span.value(measure, metric, curves.mean(axis=0), baseline)
                    if metric.name in BIASED:
                        low, high = basic_interval(low, high, mean)
                    spread = _spread(span.value(measure, metric, curves, baseline))
                    row = _area_row(drawn, span, name, metric, measure)
                    row |= {"mean": float(mean), "low": float(low), "high": float(high), "sd_over_seeds": float(spread)}
                    rows.append(row | _sizes(drawn, span, name) | {"constant": reference})
        rows += _shares(drawn, span, level)
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(AREA_COLUMNS))  # patterns with one rate have no curve


def _shares(drawn: Bootstrap, span: RateSpan, level: float) -> list[Row]:
    """Return the rows of ``share_of_ceiling``; none without a ceiling and none for calibration errors.

    The posterior is the ceiling of accuracy and log-loss exactly, of F1 approximately. The calibration error of the baseline may
    be 0, so a share of it means nothing.
    """
    ceiling = drawn.models.get(CEILING)
    if ceiling is None:
        return []
    rows: list[Row] = []
    for m, metric in enumerate(drawn.metrics):
        if metric.name in BIASED:
            continue
        baseline, baseline_draws = drawn.baseline[m], drawn.baseline_draws[:, m]
        best = span.area(ceiling.points.mean(axis=0)[span.at, m]) - baseline
        best_draws = span.area(ceiling.draws[:, span.at, m]) - baseline_draws
        for name, model in drawn.models.items():
            draws = _quotient(span.area(model.draws[:, span.at, m]) - baseline_draws, best_draws)
            low, high = interval(draws, level, drawn.dialogues)
            shares = _quotient(span.area(model.points[:, span.at, m]) - baseline, best)  # (S,)
            row = _area_row(drawn, span, name, metric, SHARE) | {"mean": float(shares.mean())}
            row |= {"low": float(low), "high": float(high), "sd_over_seeds": float(_spread(shares))}
            rows.append(row | _sizes(drawn, span, name) | {"constant": 0.0})
    return rows


def _area_row(drawn: Bootstrap, span: RateSpan, model: str, metric: Metric, measure: str) -> Row:
    """Return the key columns of a row of :func:`areas`."""
    row: Row = {"corpus": drawn.corpus, "model": model, "pattern": span.pattern, "setting": span.setting}
    return row | {"metric": metric.name, "measure": measure}


def _sizes(drawn: Bootstrap, span: RateSpan, model: str) -> Row:
    """Return how many seeds, masks, utterances and dialogues a row of :func:`areas` rests on."""
    sizes: Row = {"seeds": len(drawn.models[model].seeds), "mask_seeds": drawn.settings[span.at[-1]].mask_seeds}
    return sizes | {"n": drawn.utterances, "dialogues": drawn.dialogues}


def compare(
    drawn: Bootstrap, reference: str | None = None, pairs: Sequence[tuple[str, str]] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Return paired differences of models on the same dialogues and masks.

    Args:
        drawn: bootstrap replicates.
        reference: model that every other model is compared with; all pairs if neither this nor ``pairs`` is given.
        pairs: pairs (a, b) of models to compare.
        level: of the intervals.

    Returns:
        One row for each pair, setting or curve, and metric: corpus, model_a, model_b, pattern, setting, metric, measure, rate,
        difference (a - b; of an error, negative = a is better), low, high, p_value (two-sided, uncorrected, at least
        2 / replicates), dialogues. Measures are ``at_rate``, and ``auilc`` or ``subset_mean`` with rate NaN.

    Raises:
        ConfigError: a model was not bootstrapped.

    Example:
        >>> from lacuna.evaluation.replicates import ModelDraws, Setting
        >>> from lacuna.metrics.scores import METRICS
        >>> from lacuna.corpus.schema import Target
        >>> noise = np.random.default_rng(0).normal(0, 0.01, (200, 1, 1))
        >>> models = {n: ModelDraws((0,), np.array([[[v]]]), v + s * noise) for n, v, s in (("a", 0.8, 1), ("b", 0.6, -1))}
        >>> target, accuracy = Target("mood", "classification", ("low", "high")), METRICS[2:3]
        >>> settings = (Setting("rmm", "", rate=0.5, measured=0.5, mask_seeds=1),)
        >>> drawn = Bootstrap("toy", target, accuracy, settings, models, np.array([0.5]), np.full((200, 1), 0.5), 90, 30)
        >>> compare(drawn)[["model_a", "model_b", "measure", "difference", "p_value"]].round(2).values.tolist()
        [['a', 'b', 'at_rate', 0.2, 0.01]]
    """
    if pairs is None:
        names = list(drawn.models)
        if reference is not None and reference not in names:
            raise ConfigError(f"no sweep of model '{reference}' to compare with; there are: {', '.join(names)}")
        pairs = list(combinations(names, 2)) if reference is None else [(n, reference) for n in names if n != reference]
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
                row |= {"difference": value[m], "low": low[m], "high": high[m], "p_value": p[m], "dialogues": drawn.dialogues}
                rows.append(row)
    return pd.DataFrame(rows)


def against_baseline(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary with a column ``verdict``: each row against the majority-class (or mean) baseline.

    ``above``: the paired interval of the gain is positive. ``below``: it is negative. ``undecided``: it contains 0.
    ``undefined``: there is no interval. A gain below a millionth counts as 0: it is rounding error.

    Args:
        summary: of :func:`summarise`; the columns gain_low, gain_high and constant are read.

    Example:
        >>> gains = {"gain_low": [0.1, -0.1, np.nan], "gain_high": [0.2, 0.1, np.nan], "constant": 0.5}
        >>> against_baseline(pd.DataFrame(gains))["verdict"].tolist()
        ['above', 'undecided', 'undefined']
    """
    low, high = summary["gain_low"], summary["gain_high"]
    tiny = 1e-6 * np.maximum(1, summary["constant"].abs())
    verdict = np.select([low.isna() | high.isna(), low > tiny, high < -tiny], ["undefined", "above", "below"], "undecided")
    return summary.assign(verdict=verdict)


def above_ceiling(drawn: Bootstrap, level: float = 0.95) -> pd.DataFrame:
    """Return the areas and subset means in which a model is significantly more accurate than the ceiling.

    The most probable class maximises accuracy, so no row is expected; a row points to a leak or to a wrong ceiling. The level is
    corrected for the number of rows (Bonferroni).

    Args:
        drawn: bootstrap replicates with the ceiling.
        level: of the test of all rows together.

    Returns:
        Rows of :func:`compare` against the ceiling.

    Raises:
        ConfigError: the ceiling was not scored.
    """
    n_tests = max(1, len(spans(drawn)) * (len(drawn.models) - 1))
    table = compare(drawn, reference=CEILING, level=1 - (1 - level) / n_tests)
    accuracies = table[(table["metric"] == "accuracy") & (table["measure"] != "at_rate")]
    return accuracies[accuracies["low"] > 0].reset_index(drop=True)


@dataclass(frozen=True)
class RateSpan:
    """Settings that are summarised by one number.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults; empty for a mean over settings.
        at: R positions among the settings of the bootstrap.
        rates: R rates, or ``None`` if they are not points of a curve.
        measures: names of the measures that are defined, the area or mean first.
    """

    pattern: str
    setting: str
    at: list[int]
    rates: list[float] | None
    measures: tuple[str, ...]

    def area(self, values: Array) -> Array:
        """Return the area under the curve, or the mean over the settings: (..., R) -> (...)."""
        return np.asarray(values.mean(axis=-1)) if self.rates is None else auilc(self.rates, values)

    def value(self, measure: str, metric: Metric, values: Array, baseline: Array | float) -> Array:
        """Return one measure: values (..., R) and those of the baseline (...) -> (...)."""
        if self.rates is not None and measure == "relative_robustness":
            return relative_robustness(self.rates, values, metric.higher)
        if self.rates is not None and measure == "effective_robustness":
            return effective_robustness(self.rates, values, baseline, metric.higher)
        return self.area(values)


def spans(drawn: Bootstrap) -> list[RateSpan]:
    """Return the curves over rates of each pattern and setting, and the sets of settings of patterns with one rate."""
    positions: dict[tuple[str, str], list[int]] = {}
    for q, s in enumerate(drawn.settings):
        positions.setdefault((s.pattern, s.setting), []).append(q)
    curves, single = [], dict[str, list[int]]()
    for (pattern, setting), at in positions.items():
        if len(at) == 1:
            single.setdefault(pattern, []).extend(at)
            continue
        rates = [drawn.settings[q].rate for q in at]
        robustness = ("relative_robustness", "effective_robustness") if rates[0] == 0 else ()
        curves.append(RateSpan(pattern, setting, at, rates, ("auilc", *robustness)))
    return curves + [RateSpan(pattern, "", at, None, (SUBSETS,)) for pattern, at in single.items() if len(at) > 1]


def _quotient(gain: Array, best: Array) -> Array:
    """Return ``gain / best``; NaN where the ceiling itself is not better than the baseline."""
    return np.asarray(np.divide(gain, best, out=np.full(np.shape(gain), np.nan), where=np.abs(best) > 1e-12))


def _spread(values: Array) -> Array:
    """Return the standard deviation over seeds, NaN with one seed: (S, ...) -> (...)."""
    return np.asarray(values.std(axis=0, ddof=1)) if len(values) > 1 else np.full(values.shape[1:], np.nan)
