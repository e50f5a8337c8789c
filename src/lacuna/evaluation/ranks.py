"""Several models on several corpora: average ranks with intervals, and paired tests of all pairs of models.

Ranks need no common scale, so classification and regression corpora can be averaged. The tests are of paired differences on the
same dialogues and masks, each divided by its bootstrap standard error, combined over corpora (Stouffer) and corrected for the
number of pairs (Holm). They are about these corpora only. The Friedman test asks whether the ranks agree over corpora; with few
corpora it has little power (Demšar, JMLR 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erfc, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.replicates import Bootstrap
from lacuna.evaluation.tables import spans
from lacuna.metrics.bootstrap import MIN_DIALOGUES, interval
from lacuna.metrics.counts import Array

PERMUTATIONS = 9999
PAIRS = ["model_a", "model_b", "corpora", "wins", "z", "p_value", "p_holm"]


@dataclass(frozen=True, eq=False)
class Standing:
    """Scores of K models on one corpus: the mean of their areas over F patterns, with B replicates.

    Attributes:
        corpus: name of the corpus.
        metric: name of the metric.
        higher: whether higher values are better.
        models: K names.
        panels: F pairs (pattern, setting).
        measure: ``auilc``, or ``subset_mean`` where there is no curve.
        points: (K, F) float64 measured values.
        draws: (B, K, F) float64 replicates.
        baseline: metric of the majority-class (or mean) baseline.
        level: of the intervals.
        dialogues: number of dialogues that were resampled.
    """

    corpus: str
    metric: str
    higher: bool
    models: tuple[str, ...]
    panels: tuple[tuple[str, str], ...]
    measure: str
    points: Array
    draws: Array
    baseline: float
    level: float
    dialogues: int

    @property
    def scores(self) -> Array:
        """(K,) mean over patterns."""
        return np.asarray(self.points.mean(axis=1))

    def interval(self, draws: Array) -> tuple[Array, Array]:
        """Return the bounds of the interval of replicates: (B, ...) -> (...) each."""
        return interval(draws, self.level, self.dialogues)

    def z(self, a: str, b: str) -> float:
        """Return the difference of a and b divided by its standard error.

        Returns:
            Positive = a is better; 0 = no difference in any replicate; NaN with fewer than
            :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES` dialogues, where the standard error is not reliable.
        """
        if self.dialogues < MIN_DIALOGUES:
            return float("nan")
        i, j = self.models.index(a), self.models.index(b)
        difference = (self.scores[i] - self.scores[j]) * (1 if self.higher else -1)
        standard_error = float((self.draws[:, i] - self.draws[:, j]).mean(axis=1).std(ddof=1))
        return float(difference / standard_error) if standard_error > 1e-12 else 0.0


def standing(drawn: Bootstrap, metric: str, corpus: str | None = None, level: float = 0.95) -> Standing:
    """Return the areas of one metric on one corpus.

    Args:
        drawn: bootstrap replicates.
        metric: name of one of its metrics.
        corpus: name of the corpus in tables; by default its own name.
        level: of the intervals.

    Raises:
        ConfigError: the metric was not bootstrapped, or there is neither a curve nor a set of subsets.
    """
    names = [m.name for m in drawn.metrics]
    if metric not in names:
        raise ConfigError(f"metric '{metric}' was not bootstrapped; there are: {', '.join(names)}")
    m, every = names.index(metric), spans(drawn)
    curves = [s for s in every if s.rates is not None and s.pattern != FIXED] or every
    if not curves:
        raise ConfigError(f"'{corpus or drawn.corpus}' was scored in a single condition: ranks need a curve or several subsets")
    return Standing(
        corpus=corpus or drawn.corpus,
        metric=metric,
        higher=drawn.metrics[m].higher,
        models=tuple(drawn.models),
        panels=tuple((s.pattern, s.setting) for s in curves),
        measure=curves[0].measures[0],
        points=np.stack([[s.area(d.points.mean(axis=0)[s.at, m]) for s in curves] for d in drawn.models.values()]),
        draws=np.stack([np.stack([s.area(d.draws[:, s.at, m]) for s in curves], axis=1) for d in drawn.models.values()], axis=1),
        baseline=float(drawn.baseline[m]),
        level=level,
        dialogues=drawn.dialogues,
    )


def ranks(scores: Array, higher: bool = True) -> Array:
    """Return ranks along the last axis, 1 = best; equal scores share their mean rank.

    Args:
        scores: (..., K) float64.
        higher: whether higher scores are better.

    Example:
        >>> ranks(np.array([0.7, 0.5, 0.5])).tolist()
        [1.0, 2.5, 2.5]
    """
    better = scores[..., None, :] > scores[..., :, None] if higher else scores[..., None, :] < scores[..., :, None]
    equal = scores[..., None, :] == scores[..., :, None]
    return np.asarray(1 + better.sum(axis=-1) + (equal.sum(axis=-1) - 1) / 2)


def average_ranks(standings: Sequence[Standing], models: Sequence[str]) -> pd.DataFrame:
    """Return the average rank of each model over corpora, best first.

    Args:
        standings: one for each corpus.
        models: K models that were scored on all of them.

    Returns:
        Columns model, rank, low, high (over resampled dialogues and seeds, not over corpora; NaN if a corpus has too few
        dialogues), and ``rank:<corpus>`` of each corpus.
    """
    by_corpus = [ranks(_scores_of(s, models), s.higher) for s in standings]  # (K,) each
    b = min(len(s.draws) for s in standings)
    drawn = np.mean([ranks(_draws_of(s, models)[:b], s.higher) for s in standings], axis=0)  # (B, K)
    low, high = interval(drawn, standings[0].level, min(s.dialogues for s in standings))
    table = pd.DataFrame({"model": list(models), "rank": np.mean(by_corpus, axis=0), "low": low, "high": high})
    for s, corpus_ranks in zip(standings, by_corpus, strict=True):
        table[f"rank:{s.corpus}"] = corpus_ranks
    return table.sort_values(["rank", "model"], kind="stable").reset_index(drop=True)


def paired_tests(standings: Sequence[Standing], models: Sequence[str]) -> pd.DataFrame:
    """Return paired tests of all pairs of models, combined over corpora by Stouffer's method.

    Args:
        standings: one for each corpus, independent of each other.
        models: models that were scored on all of them, best first.

    Returns:
        One row for each pair: model_a, model_b, corpora, wins (corpora on which a is better), z (positive = a is better), p_value
        (two-sided, normal), p_holm. z and both p-values are NaN if a corpus has too few dialogues.
    """
    rows = []
    for a, b in combinations(models, 2):
        by_corpus = [s.z(a, b) for s in standings]
        z = sum(by_corpus) / sqrt(len(by_corpus))
        rows.append([a, b, len(by_corpus), sum(x > 0 for x in by_corpus), z, erfc(abs(z) / sqrt(2))])
    table = pd.DataFrame(rows, columns=PAIRS[:-1])
    return table.assign(p_holm=holm(table["p_value"].to_numpy(dtype=float)))


def holm(p: Array) -> Array:
    """Return p-values corrected for their number, (N,) float64; NaN stays NaN and is not counted.

    Reference:
        Holm, Scandinavian Journal of Statistics 1979.

    Example:
        >>> holm(np.array([0.01, 0.04, np.nan])).tolist()
        [0.02, 0.04, nan]
    """
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected


def indistinct_runs(models: Sequence[str], pairs: pd.DataFrame, alpha: float = 0.05) -> list[tuple[int, int]]:
    """Return the longest runs of neighbours in the ranking without a significant difference between any two of them.

    Args:
        models: best first.
        pairs: of :func:`paired_tests`.
        alpha: level of the corrected tests.

    Returns:
        (first, last) positions of runs of at least two models.

    Example:
        >>> pairs = pd.DataFrame({"model_a": ["a", "a", "b"], "model_b": ["b", "c", "c"], "p_holm": [0.5, 0.01, 0.6]})
        >>> indistinct_runs(["a", "b", "c"], pairs)
        [(0, 1), (1, 2)]
    """
    significant = pairs[pairs["p_holm"] < alpha]
    different = {frozenset(pair) for pair in zip(significant["model_a"], significant["model_b"], strict=True)}
    runs: list[tuple[int, int]] = []
    for first in range(len(models)):
        last = first
        while last + 1 < len(models) and not any(frozenset((m, models[last + 1])) in different for m in models[first : last + 1]):
            last += 1
        if last > first and not (runs and runs[-1][1] >= last):
            runs.append((first, last))
    return runs


def friedman(by_corpus: Array, permutations: int = PERMUTATIONS, seed: int = 0) -> tuple[float, float]:
    r"""Return the Friedman test of whether ranks agree over corpora more than by chance, with a permutation p-value.

    Args:
        by_corpus: (N, K) float64 ranks within each of N corpora.
        permutations: of the null hypothesis, under which all orders on every corpus are equally likely.
        seed: of the permutations.

    Returns:
        The statistic :math:`12 N / (K (K + 1)) \sum_k (\bar r_k - (K + 1) / 2)^2`, and its p-value.

    Reference:
        Friedman, JASA 1937.
    """
    n, k = by_corpus.shape
    rng = np.random.default_rng(seed)

    def statistic(means: Array) -> NDArray[np.float64]:
        return np.asarray(12 * n / (k * (k + 1)) * np.square(means - (k + 1) / 2).sum(axis=-1))

    observed = float(statistic(by_corpus.mean(axis=0)))
    null = statistic(np.mean([rng.permuted(np.tile(row, (permutations, 1)), axis=1) for row in by_corpus], axis=0))
    return observed, float((1 + (null >= observed - 1e-9).sum()) / (1 + permutations))


def _scores_of(standing: Standing, models: Sequence[str]) -> Array:
    return standing.scores[[standing.models.index(m) for m in models]]


def _draws_of(standing: Standing, models: Sequence[str]) -> Array:
    return np.asarray(standing.draws[:, [standing.models.index(m) for m in models]].mean(axis=2))  # (B, K, F) -> (B, K)
