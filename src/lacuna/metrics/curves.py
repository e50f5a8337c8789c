"""From a metric at several missing rates to one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lacuna.errors import ConfigError
from lacuna.metrics.counts import Array
from lacuna.metrics.scores import ratio


def auilc(rates: Sequence[float] | Array, values: Array) -> Array:
    """Area under the curve of a metric over missing rates, divided by the span of the rates.

    The trapezoid rule of CIDer (arXiv 2506.10452), with which it agrees on rates 0, 0.1, ..., 1; dividing by the span makes
    a constant metric its own area on any rates.

    Args:
        rates: (R,) strictly increasing, at least two.
        values: (..., R).

    Returns:
        (...) float64.

    Raises:
        ConfigError: rates are unsorted, repeated, fewer than two, or not as many as the values.
    """
    r = _checked(rates, values)
    area = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(r)).sum(axis=-1)
    return np.asarray(area / (r[-1] - r[0]))


def relative_robustness(rates: Sequence[float] | Array, values: Array, higher: bool = True) -> Array:
    """What share of the score on complete data is left on average: AUILC / M(0), or M(0) / AUILC for an error.

    1 = nothing is lost. MultiBench (arXiv 2107.07502) calls the area itself relative robustness; dividing by M(0) separates
    robustness from being good. Note that a constant answer has the best possible value, 1: read it beside
    :func:`effective_robustness`.

    Args:
        rates: (R,) as for :func:`auilc`, starting at 0.
        values: (..., R).
        higher: whether higher values are better.

    Returns:
        (...) float64; NaN where the denominator is not positive.

    Raises:
        ConfigError: as for :func:`auilc`, or the rates do not start at 0.
    """
    _start(rates)
    area = auilc(rates, values)
    return ratio(area, values[..., 0]) if higher else ratio(values[..., 0], area)


def effective_robustness(rates: Sequence[float] | Array, values: Array, constant: Array | float, higher: bool = True) -> Array:
    """What share of the skill on complete data is left on average, skill being the lead over the constant answer.

    (AUILC - constant) / (M(0) - constant), which is the mean over rates of (M(r) - constant) / (M(0) - constant).
    1 = nothing is lost, 0 = on average no better than the constant, below 0 = worse. Like the effective robustness of Taori et
    al. (arXiv 2007.00644) and MultiBench it takes out what a trivial reference already gets; unlike theirs, the reference
    is the constant and not another trained model, so the value does not depend on who else was compared.

    Args:
        rates: (R,) as for :func:`auilc`, starting at 0.
        values: (..., R).
        constant: (...) the metric of the constant answer on the same utterances.
        higher: whether higher values are better.

    Returns:
        (...) float64; NaN where the model has no lead over the constant on complete data.

    Raises:
        ConfigError: as for :func:`relative_robustness`.
    """
    _start(rates)
    sign = 1.0 if higher else -1.0
    return ratio(sign * (auilc(rates, values) - constant), sign * (values[..., 0] - constant))


def _start(rates: Sequence[float] | Array) -> None:
    if not len(rates) or rates[0] != 0:
        raise ConfigError(f"robustness compares with complete data: the rates must start at 0, not {list(rates)[:1]}")


def _checked(rates: Sequence[float] | Array, values: Array) -> Array:
    r = np.asarray(rates, np.float64)
    if r.ndim != 1 or len(r) < 2 or not (np.diff(r) > 0).all():
        raise ConfigError(f"an area needs at least two rates, strictly increasing, not {r.tolist()}")
    if values.shape[-1:] != r.shape:
        raise ConfigError(f"an area needs one value a rate: {len(r)} rates, values of shape {values.shape}")
    return r
