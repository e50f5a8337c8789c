r"""Evidence of one turn: log P(observed | emotion) and log P(observed | scene), from counts and sums of observed frames.

Frames after the inverse map are Gaussian given the emotion e and the scene c. With :math:`n` frames observed and mean
:math:`\bar x`, and :math:`\sigma^2 = s_u^2 + s^2 / n`, only the mean depends on (e, c):
:math:`\bar x \sim N(\mu_e + \nu_c + A z, \sigma^2 I)`. Integrating out z over audio and vision together (Woodbury identity),

.. math::
    \log p = \sum_m \frac{1}{\sigma_m^2}
    \Big(\mu_e \cdot \bar x - \tfrac12 |\mu_e|^2 + \nu_c \cdot \bar x - \tfrac12 |\nu_c|^2\Big)
    + \tfrac12 h_e^\top M^{-1} h_e + \text{const}, \quad
    h_e = \sum_m \frac{A_m^\top(\bar x_m - \mu_{m,e})}{\sigma_m^2}, \quad
    M = I + \sum_m \frac{A_m^\top A_m}{\sigma_m^2},

because the directions of the scenes are orthogonal to all others. So q + K + G projections of :math:`\bar x` are sufficient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.synthetic.duet.warp import Array
from lacuna.synthetic.duet.world import Carrier, World

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of N single turns.

    Attributes:
        emotion: (N, K) float64 log-likelihood of each emotion, up to a constant for each row.
        scene: (N, G) float64 the same for scenes; the log-likelihood of a turn given both is their sum.
        factor: (N, K, q) float64 posterior mean of the expressiveness vector given each emotion.
        pair: (N,) int64 row of ``precision`` of each turn.
        precision: (P, q, q) float64 M for each pair of counts that occurs.
    """

    emotion: Array
    scene: Array
    factor: Array
    pair: Integers
    precision: Array


def projection(carrier: Carrier) -> Array:
    """Return the projection of a frame to its sufficient statistics: (d, q + K + G) float64, columns A, mu and nu."""
    return np.concatenate([carrier.loading, carrier.emotion.T, carrier.scene.T], axis=1)


def totals(values: Array, utterance: Integers, many: int) -> Array:
    """Return sums over the rows of each utterance: (R, w) float64 with ascending (R,) utterances -> (many, w) float64."""
    result = np.zeros((many, values.shape[1]))
    if len(utterance):
        start = np.flatnonzero(np.append(True, utterance[1:] != utterance[:-1]))
        result[utterance[start]] = np.add.reduceat(values, start, axis=0)
    return result


def weigh(world: World, words: Array, count: dict[str, Integers], sums: dict[str, Array]) -> Evidence:
    """Return the evidence of N turns.

    Args:
        world: the true parameters.
        words: (N, K + G) float64 sums of the log-likelihoods of the observed tokens.
        count: by carrier (N,) int64 observed frames.
        sums: by carrier (N, q + K + G) float64 sums of their projections.
    """
    k, q = len(world.prior), world.settings.factors
    emotion, scene = words[:, :k].copy(), words[:, k:].copy()
    h = np.zeros((len(words), k, q))
    for name, carrier in world.carriers.items():
        precision_of_mean = 1 / carrier.variance(count[name])  # (N,) 0 where nothing is observed
        mean = sums[name] / np.maximum(count[name], 1)[:, None]  # (N, q + K + G)
        emotion += precision_of_mean[:, None] * (mean[:, q : q + k] - 0.5 * np.square(carrier.emotion).sum(axis=1))
        scene += precision_of_mean[:, None] * (mean[:, q + k :] - 0.5 * np.square(carrier.scene).sum(axis=1))
        h += precision_of_mean[:, None, None] * (mean[:, None, :q] - carrier.emotion @ carrier.loading)
    precision, pair = _precision(world, count)
    factor = h @ np.linalg.inv(precision)[pair]  # (N, K, q) @ (N, q, q), symmetric
    return Evidence(emotion + 0.5 * (h * factor).sum(axis=2), scene, factor, pair, precision)


def turn_likelihood(evidence: Evidence, agreement: Array) -> Array:
    """Return log P(observed | emotion) with the scene summed out: (N, K) float64, the largest of each row is 0."""
    top = evidence.scene.max(axis=1, keepdims=True)
    log_likelihood = evidence.emotion + np.log(np.exp(evidence.scene - top) @ agreement.T)  # (N, G) @ (G, K)
    return np.asarray(log_likelihood - log_likelihood.max(axis=1, keepdims=True))


def _precision(world: World, count: dict[str, Integers]) -> tuple[Array, Integers]:
    """Return M of each pair of counts that occurs, (P, q, q) float64, and the pair of each row, (N,) int64."""
    pairs, pair = np.unique(np.stack([count[m] for m in world.carriers], axis=1), axis=0, return_inverse=True)  # (P, 2)
    result = np.broadcast_to(np.eye(world.settings.factors), (len(pairs), *2 * (world.settings.factors,))).copy()
    for column, carrier in zip(pairs.T, world.carriers.values(), strict=True):
        result += (carrier.loading.T @ carrier.loading) / carrier.variance(column)[:, None, None]
    return result, pair.reshape(-1)
