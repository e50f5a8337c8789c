"""Numbers over missing rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import ConfigError
from lacuna.evaluation import auilc, effective_robustness, relative_robustness

RATES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
curves = st.lists(st.floats(0.05, 1), min_size=11, max_size=11).map(np.array)


@given(st.floats(-1, 5), st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True).map(sorted))
def test_auilc_of_a_constant_is_the_constant(value: float, rates: list[float]) -> None:
    if min(np.diff(rates)) > 1e-6:
        assert float(auilc(rates, np.full(len(rates), value))) == pytest.approx(value)


@given(curves)
def test_auilc_is_ciders_formula_on_its_rates(values: np.ndarray) -> None:
    cider = sum((values[k] + values[k + 1]) / 2 * 0.1 for k in range(10))
    assert float(auilc(RATES, values)) == pytest.approx(cider)
    assert float(auilc(RATES, values)) == pytest.approx(np.trapezoid(values, RATES))


def test_auilc_takes_uneven_rates_and_leading_axes() -> None:
    rates, values = [0.0, 0.2, 1.0], np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_allclose(auilc(rates, values), np.trapezoid(values, rates))
    linear = np.linspace(1, 0, 11)
    assert float(auilc(RATES, linear)) == pytest.approx(float(auilc([0.0, 1.0], linear[[0, -1]])))


@pytest.mark.parametrize("rates", [[0.5], [0.0, 0.5, 0.2], [0.0, 0.5, 0.5], [], [0.0, float("nan")]])
def test_rates_must_rise(rates: list[float]) -> None:
    with pytest.raises(ConfigError, match="strictly increasing"):
        auilc(rates, np.ones(len(rates)))


def test_rates_must_fit_the_values_and_robustness_starts_at_0() -> None:
    with pytest.raises(ConfigError, match="one value a rate"):
        auilc([0.0, 1.0], np.ones(3))
    with pytest.raises(ConfigError, match="start at 0"):
        relative_robustness([0.1, 1.0], np.ones(2))
    with pytest.raises(ConfigError, match="start at 0"):
        effective_robustness([0.1, 1.0], np.ones(2), 0.0)


@given(curves, st.floats(0.1, 3))
def test_relative_robustness_does_not_depend_on_the_unit(values: np.ndarray, unit: float) -> None:
    for higher in (True, False):
        one = relative_robustness(RATES, values, higher)
        np.testing.assert_allclose(relative_robustness(RATES, values * unit, higher), one)
    assert float(relative_robustness(RATES, np.full(11, unit))) == pytest.approx(1)


def test_effective_robustness_is_the_mean_share_of_skill_left() -> None:
    values, constant = np.linspace(0.8, 0.2, 11), 0.2
    each = (values - constant) / (values[0] - constant)
    assert float(effective_robustness(RATES, values, constant)) == pytest.approx(np.trapezoid(each, RATES))
    assert float(effective_robustness(RATES, values, constant)) == pytest.approx(0.5)
    errors = 1 - values
    assert float(effective_robustness(RATES, errors, 1 - constant, higher=False)) == pytest.approx(0.5)


def test_mistake_a_collapsed_model_looks_robust() -> None:
    collapsed = np.full(11, 0.43)
    assert float(relative_robustness(RATES, collapsed)) == pytest.approx(1)  # why it is never shown alone
    assert np.isnan(effective_robustness(RATES, collapsed, 0.43))  # no skill to lose
    assert np.isnan(effective_robustness(RATES, collapsed, 0.50))  # worse than the constant from the start
    falls = np.r_[0.8, collapsed[1:]]
    assert float(effective_robustness(RATES, falls, 0.43)) == pytest.approx(0.05)
