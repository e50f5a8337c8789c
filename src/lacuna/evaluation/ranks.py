"""Several models on several corpora: average ranks with intervals, and which models paired tests tell apart.

Ranks need no common scale, so a corpus of classes and one of values can be averaged. What is tested are paired differences on
the same dialogues and masks, each in units of its own bootstrap standard error, added up over corpora (Stouffer) and corrected
for the number of pairs (Holm). That speaks of these corpora. Whether the ranks would hold on other corpora is another question,
which the test of Friedman asks; with few corpora it can hardly ever say yes (Demšar, JMLR 2006).
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
from lacuna.evaluation.bootstrap import Bootstrap, interval
from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.tables import spans
from lacuna.metrics.counts import Array

PERMUTATIONS = 9999
PAIRS = ["model_a", "model_b", "corpora", "wins", "z", "p_value", "p_holm"]


@dataclass(frozen=True, eq=False)
class Standing:
    """One number a model on one corpus: the mean of its areas over patterns. K models, F patterns, B replicates.

    Attributes:
        corpus: name.
        metric: what is averaged.
        higher: more is better.
        models: K names.
        panels: F (pattern, setting).
        measure: ``auilc``, or ``subset_mean`` where there is no curve.
        points: (K, F) measured.
        draws: (B, K, F) replicates.
        constant: the constant answer's value.
        level: of intervals.
        dialogues: that were resampled.
    """

    corpus: str
    metric: str
    higher: bool
    models: tuple[str, ...]
    panels: tuple[tuple[str, str], ...]
    measure: str
    points: Array
    draws: Array
    constant: float
    level: float
    dialogues: int

    @property
    def scores(self) -> Array:
        """(K,) mean over patterns."""
        return np.asarray(self.points.mean(axis=1))

    def interval(self, draws: Array) -> tuple[Array, Array]:
        """Ends of the interval of replicates (B, ...)."""
        return interval(draws, self.level, self.dialogues)

    def z(self, a: str, b: str) -> float:
        """Lead of a over b in standard errors of the paired difference; positive = a is better, 0 = they are the same."""
        i, j = self.models.index(a), self.models.index(b)
        lead = (self.scores[i] - self.scores[j]) * (1 if self.higher else -1)
        spread = float((self.draws[:, i] - self.draws[:, j]).mean(axis=1).std(ddof=1))
        return float(lead / spread) if spread > 1e-12 else 0.0


def standing(drawn: Bootstrap, metric: str, corpus: str | None = None, level: float = 0.95) -> Standing:
    """The areas of one metric.

    Args:
        drawn: replicates.
        metric: one of its metrics.
        corpus: what the corpus is called; by default its name.
        level: of intervals.

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
        constant=float(drawn.constant[m]),
        level=level,
        dialogues=drawn.dialogues,
    )


def ranks(scores: Array, higher: bool = True) -> Array:
    """Ranks along the last axis, 1 = best; equal scores share the mean of their places."""
    better = scores[..., None, :] > scores[..., :, None] if higher else scores[..., None, :] < scores[..., :, None]
    equal = scores[..., None, :] == scores[..., :, None]
    return np.asarray(1 + better.sum(axis=-1) + (equal.sum(axis=-1) - 1) / 2)


def average_ranks(standings: Sequence[Standing], models: Sequence[str]) -> pd.DataFrame:
    """Average rank over corpora, best first.

    Args:
        standings: one a corpus.
        models: that are on all of them.

    Returns:
        model, rank, low, high (from the replicates of dialogues and seeds; they say nothing of other corpora), and a column
        ``rank:<corpus>`` each.
    """
    by_corpus = [ranks(_of(s, models), s.higher) for s in standings]  # (K,) each
    b = min(len(s.draws) for s in standings)
    drawn = np.mean([ranks(_draws_of(s, models)[:b], s.higher) for s in standings], axis=0)  # (B, K)
    low, high = interval(drawn, standings[0].level, min(s.dialogues for s in standings))
    table = pd.DataFrame({"model": list(models), "rank": np.mean(by_corpus, axis=0), "low": low, "high": high})
    for one, own in zip(standings, by_corpus, strict=True):
        table[f"rank:{one.corpus}"] = own
    return table.sort_values(["rank", "model"], kind="stable").reset_index(drop=True)


def told_apart(standings: Sequence[Standing], models: Sequence[str]) -> pd.DataFrame:
    """Paired tests of all pairs, over all corpora together.

    Args:
        standings: one a corpus, independent of each other.
        models: that are on all of them, best first.

    Returns:
        model_a, model_b, corpora, wins (corpora on which a is ahead), z (positive = a is better), p_value (two-sided, normal),
        p_holm.
    """
    rows = []
    for a, b in combinations(models, 2):
        each = [s.z(a, b) for s in standings]
        z = sum(each) / sqrt(len(each))
        rows.append([a, b, len(each), sum(x > 0 for x in each), z, erfc(abs(z) / sqrt(2))])
    table = pd.DataFrame(rows, columns=PAIRS[:-1])
    return table.assign(p_holm=holm(table["p_value"].to_numpy(dtype=float)))


def holm(p: Array) -> Array:
    """p-values corrected for their number (Holm, Scand. J. Stat. 1979): (N,) -> (N,)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, steps)
    return corrected


def joined(models: Sequence[str], pairs: pd.DataFrame, alpha: float = 0.05) -> list[tuple[int, int]]:
    """Longest runs of neighbours in the ranking in which no pair is told apart, as (first, last) places; single models are none.

    Args:
        models: best first.
        pairs: of :func:`told_apart`.
        alpha: level of the corrected tests.
    """
    sure = pairs[pairs["p_holm"] < alpha]
    apart = {frozenset(pair) for pair in zip(sure["model_a"], sure["model_b"], strict=True)}
    runs: list[tuple[int, int]] = []
    for first in range(len(models)):
        last = first
        while last + 1 < len(models) and not any(frozenset((m, models[last + 1])) in apart for m in models[first : last + 1]):
            last += 1
        if last > first and not (runs and runs[-1][1] >= last):
            runs.append((first, last))
    return runs


def friedman(by_corpus: Array, permutations: int = PERMUTATIONS, seed: int = 0) -> tuple[float, float]:
    r"""Whether ranks agree over corpora more than by chance (Friedman, JASA 1937), by permutation.

    Args:
        by_corpus: (N, K) ranks within each of N corpora.
        permutations: of the null, in which every order on every corpus is as likely.
        seed: of the permutations.

    Returns:
        The statistic :math:`12 N / (K (K + 1)) \sum_k (\bar r_k - (K + 1) / 2)^2`, and its p-value.
    """
    n, k = by_corpus.shape
    rng = np.random.default_rng(seed)

    def statistic(means: Array) -> NDArray[np.float64]:
        return np.asarray(12 * n / (k * (k + 1)) * np.square(means - (k + 1) / 2).sum(axis=-1))

    found = float(statistic(by_corpus.mean(axis=0)))
    null = statistic(np.mean([rng.permuted(np.tile(row, (permutations, 1)), axis=1) for row in by_corpus], axis=0))
    return found, float((1 + (null >= found - 1e-9).sum()) / (1 + permutations))


def _of(one: Standing, models: Sequence[str]) -> Array:
    return one.scores[[one.models.index(m) for m in models]]


def _draws_of(one: Standing, models: Sequence[str]) -> Array:
    return np.asarray(one.draws[:, [one.models.index(m) for m in models]].mean(axis=2))  # (B, K, F) -> (B, K)
