"""What the functions of :mod:`lacuna.api` return: scores with their intervals and baselines, as tables, plots and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lacuna.atomic import write_text
from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.evaluation import EvaluationConfig, Tables
from lacuna.evaluation.sweep import Sweep
from lacuna.loading import corpus_facts
from lacuna.metrics.scores import primary
from lacuna.training import TrainedRecognizer

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lacuna.reporting import Report


@dataclass(frozen=True)
class Score:
    """One number with what is needed to read it. ``float(score)`` is the number.

    Attributes:
        metric: e.g. ``weighted_f1``.
        value: mean over mask seeds.
        low: lower end of the interval over dialogues; NaN if there are too few of them.
        high: upper end.
        baseline: value of the majority-class (or mean) baseline on the same utterances.
        n: labelled utterances.
        level: of the interval.
        metrics: all metrics by name.
    """

    metric: str
    value: float
    low: float
    high: float
    baseline: float
    n: int
    level: float = 0.95
    metrics: dict[str, float] = field(default_factory=dict, repr=False)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        """The number in words."""
        interval = f"{self.level:.0%} interval {self.low:.3f} to {self.high:.3f}" if self.low == self.low else "no interval"
        return f"{self.metric} {self.value:.3f} ({interval}; baseline {self.baseline:.3f}; n = {self.n})"

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of several recognisers on the test split of one corpus.

    Attributes:
        corpus: the whole corpus, for the facts of the report.
        recognizers: what was scored, one a model and training seed.
        config: patterns, rates, mask seeds, and the bootstrap.
        tables: scores, summary, areas, comparisons, confusion; each a tidy DataFrame.
        history: one row an epoch of those models that were trained for this.
        recovery: recovery quality, one row a model, condition, modality and measure.
        points: recovered vectors beside the true ones.
        examples: predictions for a few test utterances, one row for each utterance and model.
        dynamics: change, state and transition scores of dialogues with nothing missing; empty without dialogues.
        sweeps: counts by model, seed, condition and dialogue, from which the tables follow.
    """

    corpus: Corpus = field(repr=False)
    recognizers: tuple[TrainedRecognizer, ...] = field(repr=False)
    config: EvaluationConfig
    tables: Tables = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    recovery: pd.DataFrame = field(repr=False)
    points: pd.DataFrame = field(repr=False)
    examples: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    dynamics: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    sweeps: tuple[Sweep, ...] = field(default=(), repr=False)

    @property
    def metric(self) -> str:
        """The metric that ranks: ``weighted_f1`` for classes, ``ccc`` for values."""
        return primary(self.recognizers[0].schema.target)

    @property
    def scores(self) -> pd.DataFrame:
        """Every single measurement: corpus, model, seed, pattern, setting, rate, mask_seed, measured_rate, metric, value, n."""
        return self.tables.scores

    @property
    def summary(self) -> pd.DataFrame:
        """Means over seeds and masks with intervals and the baseline, one row a model, condition and metric."""
        return self.tables.summary

    @property
    def comparisons(self) -> pd.DataFrame:
        """Paired differences between models with intervals and p-values."""
        return self.tables.comparisons

    def table(self, metric: str | None = None) -> pd.DataFrame:
        """Return one row a model and pattern, one column a missing rate: the mean of a metric.

        Args:
            metric: by default the one that ranks.

        Raises:
            ConfigError: the metric was not measured.
        """
        metric = metric or self.metric
        known = list(dict.fromkeys(self.summary["metric"]))
        if metric not in known:
            raise ConfigError(f"there is no metric '{metric}' in this evaluation; there are: {', '.join(known)}")
        rows = self.summary[self.summary["metric"] == metric]
        keys = ["pattern", "model"] if (rows["setting"] == "").all() else ["pattern", "setting", "model"]
        return rows.pivot_table(index=keys, columns="rate", values="mean", sort=False)

    def plot(self, metric: str | None = None) -> go.Figure:
        """Return the figure of a metric against the missing rate, one panel a pattern.

        Args:
            metric: by default the one that ranks.
        """
        from lacuna.reporting import curves

        return curves(self.summary, metrics=[metric or self.metric])

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report as one HTML page that needs no other file and no network.

        Args:
            path: of the page; or a folder, which then gets ``report.html``, ``results.md``, the tables in three formats and
                a card for each model.

        Returns:
            Path of the page.
        """
        from lacuna.reporting import render_html, write_report

        path = Path(path)
        if path.suffix:
            write_text(path, render_html(self._composed()))
            return path
        return write_report(path, self._composed())

    def _composed(self) -> Report:
        from lacuna.reporting import composed, run_facts

        config = self.config
        settings = {"patterns": [p.name for p in config.patterns], "rates": config.rates, "mask_seeds": config.mask_seeds}
        sizes: dict[str, Any] = {"level": config.level, "resamples": config.replicates}
        facts = run_facts(self.recognizers, corpus_facts(self.corpus), settings, **sizes, command="lacuna.evaluate(...)")
        long = {name: getattr(self, name) for name in ("history", "recovery", "points", "examples", "dynamics")}
        return composed(facts, self.tables, self.recognizers, **long)

    def __repr__(self) -> str:
        """The table of means, with the baseline."""
        return f"{self._title()}\n{self.table().round(3).to_string()}"

    def _repr_html_(self) -> str:
        """The table of means for notebooks."""
        from html import escape

        return f"<p>{escape(self._title())}</p>{self.table().round(3).to_html(border=0)}"

    def _title(self) -> str:
        names: Sequence[str] = list(dict.fromkeys(r.variant for r in self.recognizers))
        rows = self.summary[self.summary["metric"] == self.metric]
        baseline = f"baseline {rows['constant'].iloc[0]:.3f}; n = {int(rows['n'].iloc[0])}"
        return f"{self.metric} of {', '.join(names)} on {self.corpus.name}, by missing rate ({baseline})"
