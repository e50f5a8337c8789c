"""Readable names of metrics, patterns, settings and measures, and the format of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.evaluation.conditions import FIXED
from lacuna.metrics.scores import METRICS
from lacuna.missing import pattern_class

MAJORITY, MEAN = "majority-class baseline", "mean baseline"
_TWO_CLASSES = Target("class", "classification", ("a", "b"))


@dataclass(frozen=True)
class Finding:
    """One statement of a report.

    Attributes:
        topic: two or three words that serve as its heading.
        text: plain text, one sentence or several.
        caution: warns of a conclusion that the data do not support.
    """

    topic: str
    text: str
    caution: bool = False


LABELS = {
    "weighted_f1": "Weighted F1",
    "macro_f1": "Macro F1",
    "accuracy": "Accuracy",
    "unweighted_accuracy": "Unweighted accuracy",
    "non0_accuracy": "Accuracy without neutral",
    "non0_f1": "F1 without neutral",
    "log_loss": "Log loss (nats)",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "mce": "Largest calibration error",
    "aurc": "Area under risk-coverage (AURC)",
    "cross_entropy": "Cross-entropy (nats)",
    "kl": "KL divergence (nats)",
    "js": "Jensen-Shannon divergence (nats)",
    "ccc": "Concordance correlation (CCC)",
    "pearson": "Correlation (Pearson)",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "acc2_has0": "2-class accuracy (with 0)",
    "f1_has0": "2-class F1 (with 0)",
    "acc2_non0": "2-class accuracy (without 0)",
    "f1_non0": "2-class F1 (without 0)",
    "acc5": "5-class accuracy",
    "acc7": "7-class accuracy",
}
MEASURES = {
    "auilc": ("Mean over missing rates (AUILC)", "the area under the curve, divided by the range of missing rates"),
    "relative_robustness": ("Relative robustness", "the mean score as a share of the score on complete data"),
    "effective_robustness": ("Effective robustness", "the mean gain over the baseline as a share of the gain on complete data"),
    "subset_mean": ("Mean over subsets", "the mean over the subsets of modalities that were kept"),
    "share_of_ceiling": (
        "Share of ceiling",
        "the gain over the baseline as a share of the oracle's gain; the oracle knows the exact posterior and is an upper limit "
        "of accuracy and a lower limit of log loss, but only a reference for F1 and unweighted accuracy",
    ),
    "at_rate": ("At the single measured rate", "the score itself; an area needs several rates"),
}
PATTERNS = {
    "rmm": "whole modalities",
    "imbalanced": "whole modalities, unequal rates",
    "rmfm": "frames, from few to all",
    "rmfm_iid": "single frames",
    "tmfm": "time steps in all modalities",
    "stmfm": "one time span in all modalities",
    "seconds": "a few seconds in all modalities",
    "outage": "outages over several turns",
    "speaker": "modalities of one speaker",
}
SHARES = ("relative_robustness", "effective_robustness", "share_of_ceiling")  # higher is better for every metric
_LOWER = ("error", "loss", "brier", "mae", "mse", "nll", "ece", "aurc", "distance", "divergence")


def spaced(name: str) -> str:
    """Return a code name as words: ``random_frames`` becomes ``random frames``."""
    return name.replace("_", " ").strip()


def capital(text: str) -> str:
    """Return ``text`` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def metric_label(name: str) -> str:
    """Return the readable name of a metric; ``f1:joy`` is the F1 of one class."""
    if name.startswith("f1:"):
        return f"F1 of {name.removeprefix('f1:')}"
    return LABELS.get(name, capital(spaced(name)))


def baseline_label(metric: str) -> str:
    """Return the name of the constant baseline that a metric is compared with.

    >>> baseline_label("accuracy"), baseline_label("mae")
    ('majority-class baseline', 'mean baseline')
    """
    known = next((m for m in METRICS if m.name == metric), None)
    return MEAN if known is not None and not known.applies(_TWO_CLASSES) else MAJORITY


def metric_note(name: str) -> str:
    """Return the short definition of a metric, or an empty text if the metric is unknown."""
    return next((m.doc for m in METRICS if m.name == name), "")


def higher_is_better(metric: str, measure: str = "auilc") -> bool:
    """Return whether higher values are better; an unknown metric is classified by the words in its name."""
    if measure in SHARES:
        return True
    known = next((m.higher for m in METRICS if m.name == metric), None)
    return not any(part in _LOWER for part in metric.lower().split("_")) if known is None else known


def measure_label(name: str) -> str:
    """Return the readable name of an area measure."""
    return MEASURES[name][0] if name in MEASURES else capital(spaced(name))


def measure_note(name: str) -> str:
    """Return the short definition of an area measure."""
    return MEASURES.get(name, ("", ""))[1]


def subset_label(setting: str) -> str:
    """Return a subset of modalities with spaces: ``audio+text`` becomes ``audio + text``."""
    return " + ".join(part.strip() for part in setting.split("+"))


def panel_label(pattern: str, setting: str = "") -> str:
    """Return the readable name of a missingness pattern with its code name and setting."""
    if pattern == FIXED:
        return f"only {subset_label(setting)}" if setting else "available modalities"
    inside = ", ".join(part for part in ((pattern if pattern in PATTERNS else ""), spaced(setting)) if part)
    return PATTERNS.get(pattern, spaced(pattern)) + (f" ({inside})" if inside else "")


def pattern_note(pattern: str) -> str:
    """Return the first sentence of a pattern's docstring and the unit of its rate; empty if the pattern is unknown."""
    try:
        cls = pattern_class(pattern)
    except ConfigError:
        return ""
    first = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    return f"{first} The rate is a share of {cls.unit}."


def percent(rate: float) -> str:
    """Return a rate as a percentage with at most three digits."""
    return f"{rate * 100:.3g}\u202f%"


def number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Return a value as text; ``n/a`` if it is not finite."""
    if not math.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if sign or value < 0 else text


def interval(low: float, high: float, digits: int = 3, *, sign: bool = False) -> str:
    """Return an interval as text, or an empty text if an end is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def bracketed(low: float, high: float) -> str:
    """Return an interval in brackets after a space, or an empty text if an end is not finite."""
    span = interval(low, high)
    return f" ({span})" if span else ""


def condition_text(pattern: str, setting: str) -> str:
    """Return a condition inside a sentence: ``under rmm`` or ``with only audio + text``."""
    if pattern == FIXED:
        return f"with only {subset_label(setting)}" if setting else "over the subsets of modalities"
    return f"under {pattern}{f' ({setting})' if setting else ''}"


def clauses(parts: list[str], most: int = 10) -> str:
    """Return clauses with semicolons between them; a list longer than ``most`` ends with a count."""
    return "; ".join(parts if len(parts) <= most else [*parts[: most - 1], f"and {len(parts) - most + 1} more"])


def listing(names: list[str], most: int = 6) -> str:
    """Return names as ``a, b and c``; a list longer than ``most`` ends with a count."""
    if len(names) > most:
        return ", ".join(names[: most - 1]) + f" and {len(names) - most + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
