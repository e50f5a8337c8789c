"""Intervals and paired comparisons: a bootstrap over dialogues and training seeds with common random numbers.

One matrix of dialogue weights serves every model, seed, plan and metric, so what two models share (hard dialogues, masks) cancels
in their difference. Training seeds are resampled within each replicate (a hierarchical bootstrap); mask seeds are averaged. With
few seeds the interval is a little too narrow: resampling S seeds shows only (S - 1) / S of their variance. So it is with few
dialogues; taking utterances to be independent would be far worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.evaluation.sweep import Sweep
from lacuna.metrics.counts import Array, Counts
from lacuna.metrics.scores import Metric, metric, metrics_of

BLOCK = 64 << 20  # bytes of replicated counts at a time
BIASED = ("ece", "mce")  # calibration errors: no ceiling, and biased upwards under resampling


@dataclass(frozen=True)
class Setting:
    """A pattern at a rate, mask seeds together.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults; the subset for ``fixed``.
        rate: as asked for.
        measured: share of frames that was really missing, mean over mask seeds.
        mask_seeds: how many masks were averaged.
    """

    pattern: str
    setting: str
    rate: float
    measured: float
    mask_seeds: int


@dataclass(frozen=True, eq=False)
class ModelDraws:
    """One model: S training seeds, Q settings, M metrics, B replicates.

    Attributes:
        seeds: training seeds.
        points: (S, Q, M) measured values.
        draws: (B, Q, M) replicates, averaged over resampled seeds.
    """

    seeds: tuple[int, ...]
    points: Array
    draws: Array


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Replicates of every metric of several models on one corpus, ready for tables.

    Attributes:
        corpus: name of the corpus.
        target: what was predicted.
        metrics: M metrics.
        settings: Q settings, sorted by pattern, setting and rate in order of first appearance.
        models: by name.
        constant: (M,) metrics of the constant answer.
        constant_draws: (B, M) the same in each replicate.
        utterances: number of labelled utterances.
        dialogues: number of dialogues (or groups) that were resampled; with a single one every interval is NaN.
    """

    corpus: str
    target: Target
    metrics: tuple[Metric, ...]
    settings: tuple[Setting, ...]
    models: dict[str, ModelDraws]
    constant: Array
    constant_draws: Array
    utterances: int
    dialogues: int


def bootstrap(
    sweeps: Sequence[Sweep],
    replicates: int = 500,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    weights: Array | None = None,
) -> Bootstrap:
    """Resample dialogues and seeds once for all models.

    Args:
        sweeps: one a model and training seed, all on the same utterances under the same masks.
        replicates: B.
        seed: everything random follows from it.
        metrics: names; all but the detailed ones by default.
        weights: (B, D) how often each dialogue is drawn, for replicates that go along with those of another test; by default
            dialogues are drawn here.

    Raises:
        ConfigError: no sweep, a model and seed twice, an unknown metric, or sweeps that are not comparable: other
            utterances, labels or masks.
    """
    first = _comparable(sweeps)
    chosen = metrics_of(first.target) if metrics is None else tuple(metric(first.target, name) for name in metrics)
    order, settings = _settings(first)
    dialogues = first.counts.shape[1]
    weights = resampled([seed, 0], dialogues, replicates) if weights is None else weights  # (B, D)
    if weights.shape != (replicates, dialogues):
        raise ConfigError(f"weights of shape {weights.shape} do not fit {replicates} replicates of {dialogues} dialogues")
    models = {}
    for name in dict.fromkeys(s.model for s in sweeps):
        own = sorted((s for s in sweeps if s.model == name), key=lambda s: s.seed)
        share = resampled([seed, 1], len(own), replicates) / len(own)  # (B, S)
        draws = np.zeros((replicates, len(settings), len(chosen)))
        points = np.empty((len(own), len(settings), len(chosen)))
        for index, one in enumerate(own):
            points[index] = _over_masks(_measure(one.pooled, chosen)[order], settings, axis=0)
            part = share[:, index, None, None]
            replicated = _over_masks(_replicate(one, weights, chosen)[:, order], settings, axis=1)
            draws += np.where(part > 0, part * replicated, 0)
        models[name] = ModelDraws(tuple(s.seed for s in own), points, draws)
    return Bootstrap(
        corpus=first.corpus,
        target=first.target,
        metrics=chosen,
        settings=settings,
        models=models,
        constant=_measure(first.pooled_constant, chosen),
        constant_draws=_measure(Counts(first.target, weights @ first.constant), chosen),
        utterances=int(first.pooled_constant.part("n")),
        dialogues=dialogues,
    )


def interval(draws: Array, level: float, dialogues: int) -> tuple[Array, Array]:
    """Percentile interval over the first axis: (B, ...) -> low (...) and high (...).

    NaN where it is undefined: a single dialogue, or more replicates without a value than a tail of the interval holds.
    """
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval lies between 0 and 1, not {level}")
    tail = (1 - level) / 2
    undefined = np.isnan(draws)
    some = undefined.any(axis=0)
    low, high = np.quantile(np.where(some, 0, draws), [tail, 1 - tail], axis=0)
    if some.any():
        usable = some & (undefined.mean(axis=0) <= tail)
        low, high = np.where(some, np.nan, low), np.where(some, np.nan, high)
        if usable.any():
            low[usable], high[usable] = np.nanquantile(draws[:, usable], [tail, 1 - tail], axis=0)
    if dialogues < 2:
        low, high = np.full_like(low, np.nan), np.full_like(high, np.nan)
    return low, high


def mirrored(low: Array, high: Array, point: Array) -> tuple[Array, Array]:
    """The basic interval of a percentile interval, not below 0: for calibration errors, which every resample makes larger."""
    return np.maximum(0, 2 * point - high), np.maximum(0, 2 * point - low)


def p_value(differences: Array, dialogues: int) -> Array:
    """Two-sided bootstrap p-value of a difference, the smallest level whose percentile interval leaves out 0: (B, ...) -> (...).

    Counted as the interval is, so that one excludes 0 where the other is below its level. Not below 2 / B, not corrected for the
    number of comparisons, NaN where the interval is undefined.
    """
    b = len(differences)
    tail = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    p = np.minimum(1, 2 * np.maximum(tail, 1) / b)
    return np.where(np.isnan(differences).any(axis=0) | (dialogues < 2), np.nan, p)


def _comparable(sweeps: Sequence[Sweep]) -> Sweep:
    if not sweeps:
        raise ConfigError("there is no sweep to summarise")
    first = sweeps[0]
    seen = set()
    for other in sweeps:
        if (other.model, other.seed) in seen:
            raise ConfigError(f"model '{other.model}' with seed {other.seed} is there twice; give one another name")
        seen.add((other.model, other.seed))
        if (other.corpus, other.target, other.fingerprint) != (first.corpus, first.target, first.fingerprint):
            raise ConfigError(
                f"'{first.model}' and '{other.model}' were not scored on the same utterances "
                f"('{first.corpus}', '{first.target.name}' against '{other.corpus}', '{other.target.name}')"
            )
        if other.conditions != first.conditions:
            odd = next(iter(set(other.conditions) ^ set(first.conditions)), "another order")
            raise ConfigError(f"'{first.model}' and '{other.model}' were not scored under the same masks: {odd}")
    return first


def resampled(seed: list[int], choices: int, replicates: int) -> Array:
    """How often each of some things is drawn when as many are drawn with replacement: (B, choices), rows sum to their number."""
    return np.random.default_rng(seed).multinomial(choices, np.full(choices, 1 / choices), replicates).astype(np.float64)


def _settings(first: Sweep) -> tuple[NDArray[np.int64], tuple[Setting, ...]]:
    """An order of the conditions that puts mask seeds side by side, and the settings that they make."""
    families = list(dict.fromkeys((c.pattern, c.setting) for c in first.conditions))
    keys = [(families.index((c.pattern, c.setting)), c.rate, c.mask_seed) for c in first.conditions]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    settings = []
    for (family, rate), members in groupby(order, key=lambda i: keys[i][:2]):
        measured = [first.conditions[i].measured for i in members]
        name, setting = families[family]
        settings.append(Setting(name, setting, rate, float(np.mean(measured)), len(measured)))
    return np.array(order), tuple(settings)


def _over_masks(values: Array, settings: tuple[Setting, ...], axis: int) -> Array:
    """Mean over the mask seeds of each setting along an axis: P -> Q."""
    seeds = np.array([s.mask_seeds for s in settings])
    sums = np.add.reduceat(values, np.cumsum(seeds) - seeds, axis=axis)
    return np.asarray(sums / np.expand_dims(seeds, tuple(range(1, values.ndim - axis))))


def _measure(counts: Counts, metrics: tuple[Metric, ...]) -> Array:
    """All metrics: counts (..., K) -> (..., M)."""
    return np.stack([m.compute(counts) for m in metrics], axis=-1)


def _replicate(one: Sweep, weights: Array, metrics: tuple[Metric, ...]) -> Array:
    """All metrics in all replicates, a block of conditions at a time: (B, P, M)."""
    p, d, k = one.counts.shape
    step = max(1, BLOCK // (8 * len(weights) * k))
    blocks = []
    for low in range(0, p, step):
        block = one.counts[low : low + step]  # (p, D, K)
        flat = block.transpose(1, 0, 2).reshape(d, -1)  # (D, p*K)
        sums = (weights @ flat).reshape(len(weights), len(block), k)  # (B, p, K)
        blocks.append(_measure(Counts(one.target, sums), metrics))
    return np.concatenate(blocks, axis=1)
