"""What must not be concluded from the numbers: answers too good, worse than none, or trained too rarely."""

from __future__ import annotations

import pandas as pd

from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.tables import CEILING, against_baseline
from lacuna.reporting.core.finding import Finding, enough, primary_rows, where
from lacuna.reporting.core.frames import records, rows_where, subset_rows
from lacuna.reporting.core.words import CONSTANT, higher_is_better, interval, listing, metric_label, percent
from lacuna.reporting.robustness.facts import Report

TINY = 1e-6  # smaller differences are rounding
_WHOLE = ("auilc", "subset_mean", "at_rate")  # the last is left only where there is a single rate


def too_good(report: Report) -> Finding | None:
    """Models more accurate than the most probable answers under the exact posterior, by the paired interval."""
    if report.comparisons is None:
        return None
    parts = []
    for r in records(rows_where(report.comparisons, metric="accuracy")):
        if CEILING not in (r.model_a, r.model_b) or r.measure not in _WHOLE:
            continue
        name, low, high = (r.model_a, r.low, r.high) if r.model_b == CEILING else (r.model_b, -r.high, -r.low)
        if low > TINY:
            parts.append(f"{name} {where(r.pattern, r.setting)} (by {interval(low, high)})")
    if not parts:
        return None
    text = f"{enough(parts)}: a sign of a leak (or of a wrong ceiling). Trust none of these numbers until it is explained."
    return Finding("More accurate than the best possible answers", text, caution=True)


def below_constant(report: Report) -> Finding:
    """Where models are worse than the constant in the primary metric, and where that is so by the paired interval."""
    label, every = metric_label(report.primary), primary_rows(report).dropna(subset=["mean"]).sort_values("rate")
    own = pd.concat([every[every["pattern"] != FIXED], subset_rows(every)])
    lead = (own["mean"] - own["constant"]) * (1 if higher_is_better(report.primary) else -1)
    own = own.assign(worse=lead < -TINY * own["constant"].abs().clip(lower=1))
    paired = {"gain_low", "gain_high"} <= set(own.columns)
    own["sure"] = own["worse"] & (against_baseline(own)["verdict"] == "below" if paired else False)
    if not own["worse"].any():
        return Finding("Against the constant", f"No model is worse than the {CONSTANT} in {label} anywhere that was measured.")
    sure: list[str] = []
    unsure: list[str] = []
    for (model, pattern, setting), rows in own.groupby(["model", "pattern", "setting"], sort=True):
        if rows["worse"].any():
            part = f"{model} {where(str(pattern), str(setting))}{_when(rows, at_rates=pattern != FIXED)}"
            (sure if rows["sure"].any() else unsure).append(part)
    each = f" Each interval is a {report.facts.level:.0%} one for itself: among many, some lie below by chance." if sure else ""
    text = f"Worse than the {CONSTANT}, in {label}: {enough([*sure, *unsure])}.{each}"
    return Finding("Below the constant", text, caution=bool(sure))


def _when(rows: pd.DataFrame, *, at_rates: bool) -> str:
    """The rates at which the interval says so, and those at which only the mean does."""
    kinds = {" (by its interval)": rows["sure"], " (not certain)": rows["worse"] & ~rows["sure"]}
    return ",".join(
        (f" at {_rates(rows['rate'].tolist(), keep.tolist())}" if at_rates else "") + how
        for how, keep in kinds.items()
        if keep.any()
    )


def _rates(rates: list[float], keep: list[bool]) -> str:
    """Some of the measured rates; three or more neighbours as ``a to b``."""
    runs: list[list[str]] = [[]]
    for rate, take in zip(rates, keep, strict=True):
        if take:
            runs[-1].append(percent(rate))
        elif runs[-1]:
            runs.append([])
    parts = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else run)]
    return listing(parts, 8)


def too_sure(report: Report) -> Finding | None:
    """Models whose probabilities tell less than the class shares of training, by the paired interval of log loss."""
    own = rows_where(report.summary, metric="log_loss")
    own = own[~own["model"].isin(report.references)]
    if own.empty or "gain_high" not in own.columns:
        return None
    worse = own[against_baseline(own)["verdict"] == "below"]
    parts = [f"{model} in {len(rows)} of {(own['model'] == model).sum()}" for model, rows in worse.groupby("model", sort=True)]
    if not parts:
        return None
    text = f"Measured by log loss, probabilities are worse than those of the {CONSTANT}: {enough(parts)} conditions."
    return Finding(
        "Too sure", f"{text} Their answers may be good; do not read their confidence as a chance to be right.", caution=True
    )


def few_seeds(report: Report) -> Finding | None:
    """What the intervals do not cover."""
    counts = report.trainings
    least = min(counts.values(), default=len(report.facts.seeds))
    if least == 1:
        once = [name for name, count in counts.items() if count == 1]
        some = f"{listing(once)} {'was' if len(once) == 1 else 'were'}"
        who = "Each model was" if len(once) == len(counts) else some
        text = f"{who} trained once. The intervals say nothing about another training run: do not rank close models."
        return Finding("One seed", text, caution=True)
    if 1 < least < 5:
        text = f"{least} training seeds are few: the intervals know little of the spread between training runs."
        return Finding("Few seeds", text, caution=True)
    return None
