"""Content of a report on shifted tests; :mod:`lacuna.reporting.shift.page` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from lacuna.reporting.core.frames import Panel, panels, records, rows_where
from lacuna.reporting.core.table import Value, marked
from lacuna.reporting.core.words import capital, higher_is_better
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, ModelFacts, RunFacts
from lacuna.shift import Repartition

IID, OOD = "iid", "ood"
AREA = "auilc"


@dataclass(frozen=True, eq=False)
class OodReport:
    """Content of a report on shifted tests.

    Attributes:
        facts: facts about the run and the repartitioned corpus.
        primary: main metric.
        parts: the repartition.
        divergences: one row per repartition: sizes, divergences, label shifts.
        tests: one row per test: name, note, number of scored utterances.
        summary: see :class:`lacuna.evaluation.shift.score.ShiftTables`, as the other tables.
        areas: areas under the curves.
        gaps: differences to the IID test.
        groups: worst groups.
        detection: AUROC by test and score.
        comparisons: paired differences between models on each test.
        sets: prediction sets by available modalities.
        models: facts by variant.
        causal: settings of causal inference selected on validation, by variant.
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
    sets: pd.DataFrame
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    causal: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return the tests in order, the IID test first."""
        return list(self.tests["test"])

    @property
    def ranked(self) -> list[str]:
        """Return the models, best on the IID test first; ``prior`` last."""
        own = rows_where(self.summary, test=IID, metric=self.primary).groupby("model")["mean"].mean()
        sign = -1 if higher_is_better(self.primary) else 1
        priors = {name for name, about in self.models.items() if about.model == "prior"}
        return sorted(own.index, key=lambda name: (name in priors, sign * own[name], name))

    @property
    def panels(self) -> list[Panel]:
        """Return the (pattern, setting) pairs with several rates."""
        counts = self.summary.groupby(["pattern", "setting"])["rate"].nunique()
        return [panel for panel in panels(self.summary) if counts[panel] > 1]

    @property
    def few_dialogues(self) -> dict[str, int]:
        """Return the tests with fewer than :data:`MIN_DIALOGUES` dialogues, with their number; they have no intervals."""
        counts = self.summary.groupby("test", sort=False)["dialogues"].min()
        return {str(test): int(count) for test, count in counts.items() if count < MIN_DIALOGUES}


@dataclass(frozen=True)
class Cut:
    """One number per model: a metric under a pattern, at the lowest rate or as mean over missing rates.

    Attributes:
        metric: name of the metric.
        panel: (pattern, setting).
        complete: at the lowest rate; otherwise the area under the curve.
    """

    metric: str
    panel: Panel
    complete: bool = False

    def rows(self, table: pd.DataFrame, test: str) -> pd.DataFrame:
        """Return the rows of a summary, of areas or of gaps for one test, indexed by model."""
        own = rows_where(table, test=test, pattern=self.panel[0], setting=self.panel[1], metric=self.metric)
        if "measure" in own.columns:
            own = rows_where(own, measure="at_rate" if self.complete else AREA)
        if self.complete:
            own = own[own["rate"] == own["rate"].min()]
        return own.set_index("model")


def scores(report: OodReport, test: str, cut: Cut) -> list[Value]:
    """Return a column of scores in the order of ``ranked``, with the best value marked."""
    own = cut.rows(report.summary if cut.complete else report.areas, test).loc[report.ranked]
    values = [Value(r.mean, r.low, r.high) for r in records(own)]
    return marked(values, higher=higher_is_better(cut.metric), ranked=[True] * len(values))


def gap_column(report: OodReport, test: str, cut: Cut) -> list[Value]:
    """Return a column of gaps; gaps whose interval excludes 0 are marked."""
    own = cut.rows(report.gaps, test).loc[report.ranked]
    return [_gap(r.gap, r.low, r.high) for r in records(own)]


def baseline_values(report: OodReport, test: str, cut: Cut) -> tuple[Value, Value]:
    """Return the baseline's value on a test and its gap to the IID test; the missing rate changes neither."""
    value = float(cut.rows(report.summary if cut.complete else report.areas, test)["constant"].iloc[0])
    if test == IID:
        return Value(value), Value(0.0)
    row = cut.rows(report.gaps, test).iloc[0]
    return Value(value), _gap(row["constant_gap"], row["constant_low"], row["constant_high"])


def _gap(mean: float, low: float, high: float) -> Value:
    return Value(mean, low, high, "best" if low > 0 or high < 0 else "")


def level(report: OodReport) -> str:
    """Return the explanation of means and brackets."""
    seeds = len(report.facts.seeds)
    text = f"Mean over {seeds} training seed{'s' if seeds != 1 else ''}; in brackets {report.facts.level:.0%} intervals."
    few = ", ".join(report.few_dialogues)
    return f"{text} No interval with fewer than {MIN_DIALOGUES} dialogues: {few}." if few else text


def about_tests(report: OodReport) -> list[str]:
    """Return a description of each test with its number of scored utterances."""
    return [f"{r.test}: {capital(r.note)} ({r.n} utterances)" for r in records(report.tests)]
