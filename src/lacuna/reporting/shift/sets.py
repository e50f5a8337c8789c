"""Coverage and size of prediction sets on the IID test and on shifted tests, beside the bounds of chance."""

from __future__ import annotations

import pandas as pd

from lacuna.evaluation.sureness import ERROR
from lacuna.reporting.core.frames import Panel, panels, records, rows_where
from lacuna.reporting.core.table import Table, Value, slug
from lacuna.reporting.core.words import Finding, listing, number, panel_label, percent
from lacuna.reporting.shift.facts import OodReport

CHANCE = 0.95  # of the binomial bounds
MOST = 12  # models named in one sentence


def coverage_bounds(n: int, wanted: float = 1 - ERROR, chance: float = CHANCE) -> tuple[float, float]:
    """Return the central range of the share of sets that hold the truth, if each one does with the wanted probability.

    Args:
        n: utterances.
        wanted: probability.
        chance: of the range.

    >>> coverage_bounds(100)
    (0.84, 0.95)
    """
    from scipy.stats import binom  # half a second

    low, high = binom.interval(chance, n, wanted)
    return float(low) / n, float(high) / n


def coverages(report: OodReport, panel: Panel) -> pd.DataFrame:
    """Return coverage and mean size by test and model for one pattern, all available modalities and rates together.

    Returns:
        test, model, n (utterances of the test), coverage, size, low, high (the binomial bounds).
    """
    own = rows_where(report.sets, pattern=panel[0], setting=panel[1])
    sums = own.groupby(["test", "model"], sort=False)[["n", "covered", "size"]].sum().reset_index()
    by_key = {(r.test, r.model): r for r in records(sums)}
    rows = []
    for about in records(report.tests):
        bounds = coverage_bounds(int(about.n))
        for r in (by_key[about.test, model] for model in report.ranked if (about.test, model) in by_key):
            rows.append((r.test, r.model, int(about.n), r.covered / r.n, r.size / r.n, *bounds))
    return pd.DataFrame(rows, columns=["test", "model", "n", "coverage", "size", "low", "high"])


def sets_table(report: OodReport, panel: Panel) -> Table:
    """Return coverage and size of the prediction sets of every model on every test."""
    what, size = ("sets", "Mean size") if report.facts.classes else ("intervals", "Mean width")
    rows: list[tuple[str | Value, ...]] = []
    for r in records(coverages(report, panel)):
        coverage = Value(r.coverage, mark="best" if r.coverage < r.low else "")
        rows.append((r.test, r.model, str(r.n), coverage, Value(1 - ERROR, r.low, r.high), Value(r.size)))
    note = (
        f"Prediction {what} for a coverage of {percent(1 - ERROR)}, with thresholds from validation; mean over rates, masks and "
        f"training seeds. Wanted: in brackets the {percent(CHANCE)} bounds of the coverage of n independent utterances, each "
        "covered with that probability. Bold: below the bounds. A coverage above them is no fault: it only makes the "
        f"{what} larger. Utterances of one dialogue are dependent, so a coverage may leave the bounds more often."
    )
    heads = ("Test", "Model", "n", "Coverage", "Wanted", size)
    caption = f"Prediction {what} on the IID and the shifted tests, pattern: {panel_label(*panel)}"
    name = "-".join(slug(part) for part in ("sets", *panel) if part)
    return Table(name, f"prediction {what}, {panel_label(*panel)}", caption, heads, tuple(rows), note)


def coverage_findings(report: OodReport) -> list[Finding]:
    """Return a sentence for each pattern: on which tests which models cover less than their sets promise."""
    return [_finding(report, panel) for panel in panels(report.sets)] if len(report.sets) else []


def _finding(report: OodReport, panel: Panel) -> Finding:
    table = coverages(report, panel)
    low = table[table["coverage"] < table["low"]]
    what = "sets" if report.facts.classes else "intervals"
    parts = []
    for test, own in low.groupby("test", sort=False):
        names = listing([f"{r.model} {number(r.coverage)}" for r in records(own)], MOST)
        parts.append(f"{test}: {names} (bound {number(float(own['low'].iloc[0]))})")
    promise = f"Prediction {what} for a coverage of {percent(1 - ERROR)}, {panel_label(*panel)}: "
    if not parts:
        return Finding(f"Prediction {what}", f"{promise}on no test does a model cover less than chance explains.")
    text = f"{promise}the truth is in them less often than chance explains on {'; '.join(parts)}."
    return Finding(f"Prediction {what}", text, caution=True)
