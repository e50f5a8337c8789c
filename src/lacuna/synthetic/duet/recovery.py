r"""The posterior of a frame that was not observed, given all observed frames.

Given emotion and scene, with :math:`\kappa = s_u^2 / (s_u^2 + s^2/n)` (0 for n = 0 observed frames of that modality in the
turn) and :math:`\hat z_e = M^{-1} h_e`, an unobserved frame of the linear space is Gaussian with

.. math::
    \text{mean } (1-\kappa)(\mu_e + \nu_c + A\hat z_e) + \kappa\bar x, \qquad
    \text{covariance } \big(s_u^2 (1-\kappa) + s^2\big) I + (1-\kappa)^2 A M^{-1} A^\top,

and unconditionally the mixture of these with weights P(e | everything) P(c | e, turn). An unobserved word has the distribution
P(w | e, c) in the same mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.synthetic.duet.evidence import Evidence
from lacuna.synthetic.duet.warp import Array
from lacuna.synthetic.duet.world import Carrier, Lexicon

_BLOCK = 256  # utterances whose mixture components are in memory at a time


@dataclass(frozen=True, eq=False)
class Recovery:
    """Posterior moments of one unobserved frame of each of N utterances; all unobserved frames of a turn have the same.

    Attributes:
        mean: (N, d) float64 posterior mean of the features, E[f(x)]: it minimises the expected squared error of the features,
            also after a standardisation by columns.
        variance: (N, d) float64 posterior variance of the features, Var[f(x)]: this smallest expected squared error.
        linear_mean: (N, d) float64 posterior mean in the linear space, E[x]; f(E[x]) minimises neither error.
        covariance: for (R,) int64 rows the posterior covariance in the linear space, (R, d, d) float64.
    """

    mean: Array
    variance: Array
    linear_mean: Array
    covariance: Callable[[NDArray[np.int64]], Array]


def recover_words(lexicon: Lexicon, weight: Array) -> Recovery:
    """Return the recovery of unobserved words, for weights (N, K, G) float64 of emotion and scene."""
    table = lexicon.table.astype(np.float64)

    def chance(rows: NDArray[np.int64]) -> Array:
        """Return P(word) of some rows: (R, V)."""
        return np.asarray(np.einsum("rkg,kgv->rv", weight[rows], lexicon.chance))

    def covariance(rows: NDArray[np.int64]) -> Array:
        result = np.empty((len(rows), *2 * (lexicon.linear.shape[1],)))
        for i, p in enumerate(chance(rows)):
            centred = lexicon.linear - p @ lexicon.linear  # (V, d)
            result[i] = (centred * p[:, None]).T @ centred
        return result

    everything = np.arange(len(weight))
    mean, square, linear = (np.empty((len(weight), table.shape[1])) for _ in range(3))
    for low in range(0, len(weight), 4096):
        p = chance(everything[low : low + 4096])  # (n, V)
        for result, source in ((mean, table), (square, table**2), (linear, lexicon.linear)):
            result[low : low + 4096] = p @ source
    return Recovery(mean, np.maximum(square - mean**2, 0.0), linear, covariance)


def recover_frames(carrier: Carrier, weight: Array, evidence: Evidence, count: NDArray[np.int64], centre: Array) -> Recovery:
    """Return the recovery of unobserved audio or vision frames.

    Args:
        carrier: the channel.
        weight: (N, K, G) float64 weights of emotion and scene.
        evidence: evidence of the turns.
        count: (N,) int64 observed frames of this channel.
        centre: (N, d) float64 their mean in the linear space; ignored where there are none.
    """
    share = np.where(count > 0, carrier.shared**2 / carrier.variance(count), 0.0)  # (N,) kappa
    inner = np.linalg.inv(evidence.precision)  # (P, q, q)
    spread = np.einsum("dq,pqr,dr->pd", carrier.loading, inner, carrier.loading)  # (P, d) diagonal of A M^-1 A'
    rest = carrier.shared**2 * (1 - share) + carrier.noise**2  # (N,)

    def parts(rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the means of the K and of the G components of some rows, before shrinking: (R, K, d) and (G, d)."""
        return carrier.emotion + evidence.factor[rows] @ carrier.loading.T, carrier.scene

    def covariance(rows: NDArray[np.int64]) -> Array:
        d = carrier.loading.shape[0]
        result = np.empty((len(rows), d, d))
        for i, row in enumerate(rows.tolist()):
            by_emotion, by_scene = parts(np.array([row]))
            points = (by_emotion[0][:, None] + by_scene).reshape(-1, d)  # (K, G, d) -> (K * G, d)
            w = weight[row].reshape(-1)  # (K, G) -> (K * G,)
            points = points - w @ points
            within = carrier.loading @ inner[evidence.pair[row]] @ carrier.loading.T
            result[i] = (1 - share[row]) ** 2 * (within + (points * w[:, None]).T @ points) + rest[row] * np.eye(d)
        return result

    mean, variance, linear = (np.empty_like(centre) for _ in range(3))
    for low in range(0, len(weight), _BLOCK):
        rows = np.arange(low, min(low + _BLOCK, len(weight)))
        by_emotion, by_scene = parts(rows)
        points = by_emotion[:, :, None] + by_scene  # (n, K, G, d)
        points = (1 - share[rows])[:, None, None, None] * points + (share[rows, None] * centre[rows])[:, None, None]
        n, k, g, d = points.shape
        points = points.reshape(n, k * g, d).transpose(1, 0, 2)  # (n, K, G, d) -> (K * G, n, d)
        w = weight[rows].reshape(n, k * g).T  # (n, K, G) -> (K * G, n)
        deviation = np.sqrt(rest[rows, None] + (1 - share[rows, None]) ** 2 * spread[evidence.pair[rows]])
        linear[rows] = np.einsum("cn,cnd->nd", w, points)
        mean[rows], variance[rows] = carrier.warp.moments(w, points, deviation)
    return Recovery(mean, variance, linear, covariance)
