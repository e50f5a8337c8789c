"""Cautions: scores that are too good, scores below the baseline, overconfidence, too little data."""

from __future__ import annotations

import pandas as pd

from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.tables import CEILING, against_baseline
from lacuna.metrics.counts import MOST_CLASSES
from lacuna.missing.thin import NOTE
from lacuna.reporting.core.frames import records, rows_where, subset_rows
from lacuna.reporting.core.words import (
    Finding,
    clauses,
    condition_text,
    higher_is_better,
    interval,
    listing,
    metric_label,
    percent,
)
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, Report
from lacuna.reporting.robustness.leaders import primary_rows

TINY = 1e-6  # smaller differences are rounding errors
FEW_DIALOGUES, FEW_UTTERANCES, ENOUGH_SEEDS = 20, 100, 5
_WHOLE = ("auilc", "subset_mean", "at_rate")  # the last occurs only if there is a single rate


def too_good(report: Report) -> Finding | None:
    """Return the models that are significantly more accurate than the oracle, or ``None``."""
    if report.comparisons is None:
        return None
    parts = []
    for r in records(rows_where(report.comparisons, metric="accuracy")):
        if CEILING not in (r.model_a, r.model_b) or r.measure not in _WHOLE:
            continue
        name, low, high = (r.model_a, r.low, r.high) if r.model_b == CEILING else (r.model_b, -r.high, -r.low)
        if low > TINY:
            parts.append(f"{name} {condition_text(r.pattern, r.setting)} (by {interval(low, high)})")
    if not parts:
        return None
    text = f"{clauses(parts)}: a sign of leakage or of a wrong ceiling. Do not use these numbers until this is explained."
    return Finding("Accuracy above the ceiling", text, caution=True)


def below_baseline(report: Report) -> Finding:
    """Return the conditions in which a model is worse than the baseline, and whether the difference is significant."""
    label, every = metric_label(report.primary), primary_rows(report).dropna(subset=["mean"]).sort_values("rate")
    own = pd.concat([every[every["pattern"] != FIXED], subset_rows(every)])
    gain = (own["mean"] - own["constant"]) * (1 if higher_is_better(report.primary) else -1)
    own = own.assign(worse=gain < -TINY * own["constant"].abs().clip(lower=1))
    paired = {"gain_low", "gain_high"} <= set(own.columns)
    own["significant"] = own["worse"] & (against_baseline(own)["verdict"] == "below" if paired else False)
    if not own["worse"].any():
        return Finding("Against the baseline", f"No model is worse than the {report.baseline} in {label} in any condition.")
    significant: list[str] = []
    other: list[str] = []
    for (model, pattern, setting), rows in own.groupby(["model", "pattern", "setting"], sort=True):
        if rows["worse"].any():
            part = f"{model} {condition_text(str(pattern), str(setting))}{_rates_text(rows, at_rates=pattern != FIXED)}"
            (significant if rows["significant"].any() else other).append(part)
    each = (
        f" Each {report.facts.level:.0%} interval is for one comparison; of many, some are below by chance."
        if significant
        else ""
    )
    text = f"Worse than the {report.baseline} in {label}: {clauses([*significant, *other])}.{each}"
    return Finding("Below the baseline", text, caution=bool(significant))


def _rates_text(rows: pd.DataFrame, *, at_rates: bool) -> str:
    """Return the rates with a significant difference, and those at which only the mean is worse."""
    kinds = {" (significant)": rows["significant"], " (not significant)": rows["worse"] & ~rows["significant"]}
    return ",".join(
        (f" at {_rates(rows['rate'].tolist(), keep.tolist())}" if at_rates else "") + kind
        for kind, keep in kinds.items()
        if keep.any()
    )


def _rates(rates: list[float], keep: list[bool]) -> str:
    """Return some of the measured rates as text; three or more neighbours as ``a to b``."""
    runs: list[list[str]] = [[]]
    for rate, kept in zip(rates, keep, strict=True):
        if kept:
            runs[-1].append(percent(rate))
        elif runs[-1]:
            runs.append([])
    parts = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else run)]
    return listing(parts, 8)


def overconfident(report: Report) -> Finding | None:
    """Return the models with a significantly higher log loss than the class shares of the training split, or ``None``."""
    own = rows_where(report.summary, metric="log_loss")
    own = own[~own["model"].isin(report.references)]
    if own.empty or "gain_high" not in own.columns:
        return None
    worse = own[against_baseline(own)["verdict"] == "below"]
    parts = [f"{model} in {len(rows)} of {(own['model'] == model).sum()}" for model, rows in worse.groupby("model", sort=True)]
    if not parts:
        return None
    text = f"Log loss is significantly higher than that of the {report.baseline}: {clauses(parts)} conditions."
    return Finding(
        "Overconfident", f"{text} Do not interpret their confidence as the probability of a correct prediction.", caution=True
    )


def little_data(report: Report) -> list[Finding]:
    """Return cautions on thinned training data, few dialogues, utterances or seeds, and classes absent from a split."""
    data = [Finding("Check the data", text, caution=True) for text in report.facts.cautions]
    return [*data, *_thinned(report), *_small_test(report), *_classes(report), *_few_seeds(report)]


def _thinned(report: Report) -> list[Finding]:
    notes = [note for note in report.facts.notes if note.startswith(NOTE)]
    text = "Scores do not compare with those of models that were trained on complete data."
    return [Finding("Incomplete training data", f"{note[:1].upper()}{note[1:]}. {text}", caution=True) for note in notes]


def _small_test(report: Report) -> list[Finding]:
    cautions, dialogues, n = [], report.facts.dialogues.get("test", 0), report.utterances or 0
    if report.few_dialogues:
        count = f"The test split has {dialogues} dialogue{'s' if dialogues != 1 else ''}"
        reason = f"a bootstrap over fewer than {MIN_DIALOGUES} dialogues gives intervals that are too narrow"
        cautions.append(Finding("No intervals", f"{count}; {reason}, so none are shown. Do not rank models.", caution=True))
    elif 0 < dialogues < FEW_DIALOGUES:
        text = f"The test split has {dialogues} dialogues. Bootstrap intervals over fewer than {FEW_DIALOGUES} are rough."
        cautions.append(Finding("Few test dialogues", text, caution=True))
    if 0 < n < FEW_UTTERANCES:
        text = f"The test split has {n} labelled utterances: one utterance changes accuracy by {percent(round(1 / n, 3))}."
        cautions.append(Finding("Few test utterances", text, caution=True))
    return cautions


def _classes(report: Report) -> list[Finding]:
    """Return cautions on classes that are absent from a split, and on a test split with a single class."""
    cautions = []
    if (n_classes := len(report.facts.classes)) > MOST_CLASSES:
        text = (
            f"There are {n_classes} classes. With more than {MOST_CLASSES}, no confusion matrix and no score of a class is shown."
        )
        cautions.append(Finding("Many classes", text))
    for split, counts in class_counts(report).items():
        absent = [name for name, count in zip(report.facts.classes, counts, strict=True) if count == 0]
        if split == "test" and len(absent) == len(counts) - 1 and len(counts) > 1:
            text = "The test split has one class only: scores do not measure recognition."
            cautions.append(Finding("One test class", text, caution=True))
        elif absent:
            effect = {"train": "models cannot learn absent classes", "valid": "the selection ignores absent classes"}
            text = f"Absent from the {split} split: {listing(absent)}; {effect.get(split, 'absent classes have no score')}."
            cautions.append(Finding("Absent classes", text, caution=True))
    return cautions


def class_counts(report: Report) -> dict[str, list[int]]:
    """Return the number of utterances by split and class; of the test split only, if nothing else is known."""
    if report.facts.class_counts:
        return {split: list(counts) for split, counts in report.facts.class_counts.items()}
    if report.confusion is None or not report.facts.classes or not report.utterances:
        return {}
    counts = report.confusion.groupby("true")["count"].sum()
    shares = [float(counts.get(name, 0)) / max(1.0, float(counts.sum())) for name in report.facts.classes]
    return {"test": [round(share * report.utterances) for share in shares]}


def _few_seeds(report: Report) -> list[Finding]:
    """Return a caution on variation that the intervals do not cover."""
    counts = report.trainings
    least = min(counts.values(), default=len(report.facts.seeds))
    if least == 1:
        once = [name for name, count in counts.items() if count == 1]
        some = f"{listing(once)} {'was' if len(once) == 1 else 'were'}"
        subject = "Each model was" if len(once) == len(counts) else some
        text = f"{subject} trained once. The variation between training runs is unknown: do not rank similar models."
        return [Finding("One seed", text, caution=True)]
    if 1 < least < ENOUGH_SEEDS:
        text = f"{least} training seeds tell little about the variation between training runs."
        return [Finding("Few seeds", text, caution=True)]
    return []
