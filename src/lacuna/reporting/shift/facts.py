"""What a report on shifted tests is made of. :mod:`lacuna.reporting.shift.page` puts it on pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from lacuna.reporting.core.frames import Panel, panels, records, rows_where
from lacuna.reporting.core.table import Value, marked
from lacuna.reporting.core.words import capital, higher_is_better
from lacuna.reporting.robustness.facts import ModelFacts, RunFacts
from lacuna.shift import Repartition

IID, OOD = "iid", "ood"
AREA = "auilc"


@dataclass(frozen=True, eq=False)
class OodReport:
    """Everything a report on shifted tests shows.

    Attributes:
        facts: about the run and the repartitioned corpus.
        primary: the metric that headlines.
        parts: the repartition.
        divergences: a row a repartition: sizes, divergences, label shifts.
        tests: a row a test: its name, a note, and how many utterances are scored.
        summary: see :class:`lacuna.evaluation.shift.score.ShiftTables`, as the other tables.
        areas: areas under the curves.
        gaps: what is lost against the IID test.
        groups: worst groups.
        detection: AUROC by test and score.
        comparisons: paired differences between models on each test.
        models: facts by label.
        causal: by label, what causal inference chose on validation.
    """

    facts: RunFacts
    primary: str
    parts: Repartition
    divergences: pd.DataFrame
    tests: pd.DataFrame
    summary: pd.DataFrame
    areas: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    detection: pd.DataFrame
    comparisons: pd.DataFrame
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    causal: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Tests in their order, the IID test first."""
        return list(self.tests["test"])

    @property
    def ranked(self) -> list[str]:
        """Models, best on the IID test first; ``prior`` last."""
        own = rows_where(self.summary, test=IID, metric=self.primary).groupby("model")["mean"].mean()
        sign = -1 if higher_is_better(self.primary) else 1
        flat = {name for name, about in self.models.items() if about.model == "prior"}
        return sorted(own.index, key=lambda name: (name in flat, sign * own[name], name))

    @property
    def panels(self) -> list[Panel]:
        """(pattern, setting) pairs with several rates."""
        counts = self.summary.groupby(["pattern", "setting"])["rate"].nunique()
        return [panel for panel in panels(self.summary) if counts[panel] > 1]


@dataclass(frozen=True)
class Cut:
    """One number a model: a metric under a pattern, on complete data or as mean over missing rates.

    Attributes:
        metric: name of the metric.
        panel: (pattern, setting).
        complete: at the lowest rate, else the area under the curve.
    """

    metric: str
    panel: Panel
    complete: bool = False

    def rows(self, table: pd.DataFrame, test: str) -> pd.DataFrame:
        """The rows of a summary, of areas, or of gaps for a test, one a model, by model."""
        own = rows_where(table, test=test, pattern=self.panel[0], setting=self.panel[1], metric=self.metric)
        if "measure" in own.columns:
            own = rows_where(own, measure="at_rate" if self.complete else AREA)
        if self.complete:
            own = own[own["rate"] == own["rate"].min()]
        return own.set_index("model")


def scores(report: OodReport, test: str, cut: Cut) -> list[Value]:
    """A column of scores, best models first, the best value marked."""
    own = cut.rows(report.summary if cut.complete else report.areas, test).loc[report.ranked]
    values = [Value(r.mean, r.low, r.high) for r in records(own)]
    return marked(values, higher=higher_is_better(cut.metric), ranked=[True] * len(values))


def lost(report: OodReport, test: str, cut: Cut) -> list[Value]:
    """A column of gaps, those marked whose interval excludes 0."""
    own = cut.rows(report.gaps, test).loc[report.ranked]
    return [_gap(r.gap, r.low, r.high) for r in records(own)]


def constant(report: OodReport, test: str, cut: Cut) -> tuple[Value, Value]:
    """The constant answer's value on a test and its gap to the IID test; the missing rate changes neither."""
    value = float(cut.rows(report.summary if cut.complete else report.areas, test)["constant"].iloc[0])
    if test == IID:
        return Value(value), Value(0.0)
    row = cut.rows(report.gaps, test).iloc[0]
    return Value(value), _gap(row["constant_gap"], row["constant_low"], row["constant_high"])


def _gap(mean: float, low: float, high: float) -> Value:
    return Value(mean, low, high, "best" if low > 0 or high < 0 else "")


def level(report: OodReport) -> str:
    """What means and brackets are."""
    seeds = len(report.facts.seeds)
    return f"Mean over {seeds} training seed{'s' if seeds != 1 else ''}; in brackets {report.facts.level:.0%} intervals."


def about_tests(report: OodReport) -> list[str]:
    """What each test is, and how many utterances it scores."""
    return [f"{r.test}: {capital(r.note)} ({r.n} utterances)" for r in records(report.tests)]
