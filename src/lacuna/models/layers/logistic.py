"""Multinomial logistic regression with an L2 penalty, fitted by a quasi-Newton method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def fit_logistic(
    features: Array, shares: Array, strengths: Sequence[float], weights: Array | None = None, *, tolerance: float = 1e-4
) -> list[tuple[Array, Array]]:
    r"""Minimise ``C * sum of w * cross-entropy + 1/2 |W|^2`` for several C, each started from the solution before it.

    The objective is that of scikit-learn's ``LogisticRegression``, for soft labels too. The intercept has no penalty.

    Args:
        features: (N, d).
        shares: (N, K) how much of each class is true of a row; rows sum to 1.
        strengths: values of C, from small to large.
        weights: (N,) of rows; 1 by default.
        tolerance: largest component of the gradient, per row, at which the search ends.

    Returns:
        For each C the coefficients (d, K) and the intercept (K,).
    """
    from scipy.optimize import minimize  # here, so that listing models does not wait for it
    from scipy.special import logsumexp

    rows, columns = features.shape
    classes = shares.shape[1]
    row_weight = np.ones(rows) if weights is None else weights
    total = max(float(row_weight.sum()), 1.0)
    weighted = shares * row_weight[:, None]
    start = np.zeros((columns + 1, classes))
    start[-1] = np.log((weighted.sum(axis=0) + 1) / (total + classes))

    def objective(flat: Array, penalty: float) -> tuple[float, Array]:
        matrix = flat.reshape(columns + 1, classes)  # (d * K + K,) -> (d + 1, K)
        logits = features @ matrix[:-1] + matrix[-1]
        normaliser = logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(logits - normaliser) * row_weight[:, None] - weighted
        loss = float((row_weight * normaliser[:, 0]).sum() - (weighted * logits).sum()) / total
        gradient = np.vstack([features.T @ error, error.sum(axis=0)]) / total
        loss += penalty / 2 * float(np.square(matrix[:-1]).sum())
        gradient[:-1] += penalty * matrix[:-1]
        return loss, gradient.ravel()

    fitted = []
    for strength in strengths:
        found: Any = minimize(
            objective,
            start.ravel(),
            args=(1 / (strength * total),),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "gtol": tolerance, "ftol": 1e-9},
        )
        start = found.x.reshape(columns + 1, classes)
        fitted.append((start[:-1].copy(), start[-1].copy()))
    return fitted


def fit_ridge(features: Array, values: Array, strengths: Sequence[float]) -> list[tuple[Array, Array]]:
    """Minimise ``C * squared error + |w|^2`` for several C; the intercept has no penalty.

    Args:
        features: (N, d).
        values: (N,).
        strengths: values of C.

    Returns:
        For each C the coefficients (d, 1) and the intercept (1,).
    """
    centre, middle = features.mean(axis=0), values.mean()
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    projected = left.T @ (values - middle)
    fitted = []
    for strength in strengths:
        coefficients = right.T @ (projected * singular / (singular**2 + 1 / strength))  # (d,)
        fitted.append((coefficients[:, None], np.array([middle - centre @ coefficients])))
    return fitted
