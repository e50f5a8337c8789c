"""Summaries of a metric over several missing rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lacuna.errors import ConfigError
from lacuna.metrics.counts import Array
from lacuna.metrics.scores import ratio


def auilc(rates: Sequence[float] | Array, values: Array) -> Array:
    """Return the area under the curve of a metric over missing rates, divided by the span of the rates.

    The trapezoid rule, as in CIDer (arXiv 2506.10452) on rates 0, 0.1, ..., 1. Because of the division, a metric that is the same
    at every rate equals its area on any rates.

    Args:
        rates: (R,) missing rates, strictly increasing, at least two.
        values: (..., R) metric at each rate.

    Returns:
        (...) float64, in the unit of the metric.

    Raises:
        ConfigError: fewer than two rates, rates that do not increase strictly, or another number of values.

    Example:
        >>> float(auilc([0, 0.5, 1], np.array([0.8, 0.6, 0.2])))
        0.55
    """
    r = _checked(rates, values)
    area = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(r)).sum(axis=-1)
    return np.asarray(area / (r[-1] - r[0]))


def relative_robustness(rates: Sequence[float] | Array, values: Array, higher: bool = True) -> Array:
    """Return the share of the score on complete data that is left on average: AUILC / M(0), or M(0) / AUILC for an error.

    1 = nothing is lost. MultiBench (arXiv 2107.07502) calls the area itself relative robustness; dividing by M(0) separates
    robustness from the level of the score. The majority-class (or mean) baseline has the best possible value, 1, so read this
    beside :func:`effective_robustness`.

    Args:
        rates: (R,) as for :func:`auilc`, starting at 0.
        values: (..., R) metric at each rate.
        higher: whether higher values are better.

    Returns:
        (...) float64; NaN where the denominator is not positive.

    Raises:
        ConfigError: as for :func:`auilc`, or the rates do not start at 0.

    Example:
        >>> round(float(relative_robustness([0, 1], np.array([0.8, 0.4]))), 6)
        0.75
    """
    _check_start(rates)
    area = auilc(rates, values)
    return ratio(area, values[..., 0]) if higher else ratio(values[..., 0], area)


def effective_robustness(rates: Sequence[float] | Array, values: Array, baseline: Array | float, higher: bool = True) -> Array:
    """Return the share of the gain over the baseline on complete data that is left on average.

    (AUILC - b) / (M(0) - b) with b the metric of the majority-class (or mean) baseline. 1 = nothing is lost, 0 = on average no
    better than the baseline, below 0 = worse. Like the effective robustness of Taori et al. (arXiv 2007.00644) and MultiBench it
    subtracts the score of a reference; unlike theirs, the reference is the baseline and not another trained model, so the value
    does not depend on the other models of a comparison.

    Args:
        rates: (R,) as for :func:`auilc`, starting at 0.
        values: (..., R) metric at each rate.
        baseline: (...) metric of the baseline on the same utterances.
        higher: whether higher values are better.

    Returns:
        (...) float64; NaN where the model is not better than the baseline on complete data.

    Raises:
        ConfigError: as for :func:`relative_robustness`.

    Example:
        >>> round(float(effective_robustness([0, 1], np.array([0.8, 0.4]), baseline=0.3)), 6)
        0.6
    """
    _check_start(rates)
    sign = 1.0 if higher else -1.0
    return ratio(sign * (auilc(rates, values) - baseline), sign * (values[..., 0] - baseline))


def _check_start(rates: Sequence[float] | Array) -> None:
    if not len(rates) or rates[0] != 0:
        raise ConfigError(f"robustness compares with complete data: the rates must start at 0, not {list(rates)[:1]}")


def _checked(rates: Sequence[float] | Array, values: Array) -> Array:
    r = np.asarray(rates, np.float64)
    if r.ndim != 1 or len(r) < 2 or not (np.diff(r) > 0).all():
        raise ConfigError(f"an area needs at least two rates, strictly increasing, not {r.tolist()}")
    if values.shape[-1:] != r.shape:
        raise ConfigError(f"an area needs one value a rate: {len(r)} rates, values of shape {values.shape}")
    return r
