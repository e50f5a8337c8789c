"""Bootstrap replicates of sweeps: dialogues and training seeds are resampled with common random numbers.

One matrix of dialogue weights serves every model, seed, condition and metric, so what two models share (difficult dialogues,
masks) cancels in their difference. Training seeds are resampled within each replicate (a hierarchical bootstrap); mask seeds are
averaged. Intervals are a little too narrow with few seeds, because resampling S seeds shows only (S - 1) / S of their variance,
and likewise with few dialogues: see :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES`.
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
from lacuna.metrics.bootstrap import resample_weights
from lacuna.metrics.counts import Array, Counts, has_confusion
from lacuna.metrics.scores import Metric, metric, metrics_of

BLOCK_BYTES = (
    64 << 20
)  # of replicated counts at a time; a quarter for many classes, whose metrics need as much again several times
BIASED = ("ece", "mce")  # calibration errors: not defined for the ceiling, and biased upwards by resampling


@dataclass(frozen=True)
class Setting:
    """A pattern at a rate; its mask seeds are averaged.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults; the modalities that stay for ``fixed``.
        rate: nominal missing rate.
        measured: measured missing rate, mean over mask seeds.
        mask_seeds: number of masks that were averaged.
    """

    pattern: str
    setting: str
    rate: float
    measured: float
    mask_seeds: int


@dataclass(frozen=True, eq=False)
class ModelDraws:
    """Replicates of one model: S training seeds, Q settings, M metrics, B replicates.

    Attributes:
        seeds: S training seeds, ascending.
        points: (S, Q, M) float64 measured values.
        draws: (B, Q, M) float64 replicates, averaged over the resampled seeds.
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
        baseline: (M,) float64 metrics of the majority-class (or mean) baseline.
        baseline_draws: (B, M) float64 the same in each replicate.
        utterances: number of labelled utterances.
        dialogues: number of dialogues (or groups of dialogues) that were resampled; with fewer than
            :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES` every interval is NaN.
    """

    corpus: str
    target: Target
    metrics: tuple[Metric, ...]
    settings: tuple[Setting, ...]
    models: dict[str, ModelDraws]
    baseline: Array
    baseline_draws: Array
    utterances: int
    dialogues: int


def bootstrap(
    sweeps: Sequence[Sweep],
    replicates: int = 500,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    weights: Array | None = None,
) -> Bootstrap:
    """Return bootstrap replicates of all models: dialogues and training seeds are resampled once for all.

    Args:
        sweeps: one for each model and training seed, all on the same utterances under the same masks.
        replicates: B, at least 1.
        seed: determines all random draws.
        metrics: names of metrics; by default all without the detailed ones.
        weights: (B, D) float64, how often each dialogue is drawn; by default drawn from ``seed``. Pass them to share replicates
            with another test.

    Returns:
        Measured values and replicates by model.

    Raises:
        ConfigError: no sweep, a model with the same seed twice, an unknown metric, weights of another shape, or sweeps that are
            not comparable: other utterances, labels or masks.

    Example:
        >>> from lacuna.evaluation.conditions import Condition
        >>> from lacuna.metrics.counts import baseline_counts, count
        >>> target, rng = Target("mood", "classification", ("low", "high")), np.random.default_rng(0)
        >>> labels, dialogue = rng.integers(2, size=60), np.arange(60) // 3
        >>> counts = count(target, np.eye(2)[labels] + rng.normal(size=(60, 2)), labels, dialogue, 20).values
        >>> baseline = baseline_counts(target, labels, labels, dialogue, 20).values
        >>> conditions = (Condition("rmm", "", rate=0.5, mask_seed=0, measured=0.5),)
        >>> drawn = bootstrap([Sweep("toy", "mlp", 0, target, conditions, counts[None], baseline, "")], replicates=100)
        >>> drawn.dialogues, drawn.models["mlp"].draws.shape == (100, 1, len(drawn.metrics))
        (20, True)
    """
    first = _comparable(sweeps)
    chosen = metrics_of(first.target) if metrics is None else tuple(metric(first.target, name) for name in metrics)
    order, settings = _settings(first)
    dialogues = first.counts.shape[1]
    weights = resample_weights([seed, 0], dialogues, replicates) if weights is None else weights  # (B, D)
    if weights.shape != (replicates, dialogues):
        raise ConfigError(f"weights of shape {weights.shape} do not fit {replicates} replicates of {dialogues} dialogues")
    models = {}
    for name in dict.fromkeys(s.model for s in sweeps):
        by_seed = sorted((s for s in sweeps if s.model == name), key=lambda s: s.seed)
        seed_shares = resample_weights([seed, 1], len(by_seed), replicates) / len(by_seed)  # (B, S)
        draws = np.zeros((replicates, len(settings), len(chosen)))
        points = np.empty((len(by_seed), len(settings), len(chosen)))
        for index, sweep in enumerate(by_seed):
            points[index] = _over_masks(_measure(sweep.pooled, chosen)[order], settings, axis=0)
            share = seed_shares[:, index, None, None]
            replicated = _over_masks(_replicate(sweep, weights, chosen)[:, order], settings, axis=1)
            draws += np.where(share > 0, share * replicated, 0)  # a seed that is not drawn may be NaN
        models[name] = ModelDraws(tuple(s.seed for s in by_seed), points, draws)
    return Bootstrap(
        corpus=first.corpus,
        target=first.target,
        metrics=chosen,
        settings=settings,
        models=models,
        baseline=_measure(first.pooled_baseline, chosen),
        baseline_draws=_measure(Counts(first.target, weights @ first.baseline), chosen),
        utterances=int(first.pooled_baseline.part("n")),
        dialogues=dialogues,
    )


def _comparable(sweeps: Sequence[Sweep]) -> Sweep:
    """Return the first sweep, after checking that all others were scored on the same utterances under the same masks."""
    if not sweeps:
        raise ConfigError("there is no sweep to summarise; pass at least one")
    first = sweeps[0]
    seen = set()
    for other in sweeps:
        if (other.model, other.seed) in seen:
            raise ConfigError(f"model '{other.model}' with seed {other.seed} is given twice; give one of them another name")
        seen.add((other.model, other.seed))
        if (other.corpus, other.target, other.fingerprint) != (first.corpus, first.target, first.fingerprint):
            raise ConfigError(
                f"'{first.model}' and '{other.model}' were not scored on the same utterances "
                f"('{first.corpus}', '{first.target.name}' against '{other.corpus}', '{other.target.name}')"
            )
        if other.conditions != first.conditions:
            difference = next(iter(set(other.conditions) ^ set(first.conditions)), "another order")
            raise ConfigError(f"'{first.model}' and '{other.model}' were not scored under the same masks: {difference}")
    return first


def _settings(first: Sweep) -> tuple[NDArray[np.int64], tuple[Setting, ...]]:
    """Return an order of the conditions in which the mask seeds of a setting are adjacent, and the settings."""
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
    """Return the mean over the mask seeds of each setting along an axis: P conditions -> Q settings."""
    seeds = np.array([s.mask_seeds for s in settings])
    sums = np.add.reduceat(values, np.cumsum(seeds) - seeds, axis=axis)
    return np.asarray(sums / np.expand_dims(seeds, tuple(range(1, values.ndim - axis))))


def _measure(counts: Counts, metrics: tuple[Metric, ...]) -> Array:
    """Return all metrics: counts (..., K) -> (..., M)."""
    return np.stack([m.compute(counts) for m in metrics], axis=-1)


def _replicate(sweep: Sweep, weights: Array, metrics: tuple[Metric, ...]) -> Array:
    """Return all metrics in all replicates, (B, P, M), a block of conditions at a time."""
    p, d, k = sweep.counts.shape
    step = max(1, (BLOCK_BYTES if has_confusion(sweep.target) else BLOCK_BYTES // 4) // (8 * len(weights) * k))
    blocks = []
    for low in range(0, p, step):
        block = sweep.counts[low : low + step]  # (p, D, K)
        flat = block.transpose(1, 0, 2).reshape(d, -1)  # (p, D, K) -> (D, p * K)
        sums = (weights @ flat).reshape(len(weights), len(block), k)  # (B, p * K) -> (B, p, K)
        blocks.append(_measure(Counts(sweep.target, sums), metrics))
    return np.concatenate(blocks, axis=1)
