"""Plain words for the names in the tables: metrics, patterns, settings, measures; and one way to write a number."""

from __future__ import annotations

import math

from lacuna.errors import ConfigError
from lacuna.evaluation.conditions import FIXED
from lacuna.metrics.scores import METRICS
from lacuna.missing import pattern_class

CONSTANT = "constant answer"


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
    "auilc": ("Mean over rates (AUILC)", "the area under the curve, divided by the span of the rates"),
    "relative_robustness": ("Relative robustness", "the share of the score on complete data that is left on average"),
    "effective_robustness": ("Effective robustness", "the share of the lead over the constant answer that is left on average"),
    "subset_mean": ("Mean over subsets", "the plain mean over the sets of modalities that were kept"),
    "share_of_ceiling": (
        "Share of ceiling",
        "the lead over the constant answer, as a part of that of the most probable answers under the exact posterior: the "
        "ceiling of accuracy and log loss, and a reference for F1 and unweighted accuracy, which another decision rule can "
        "pass by a little",
    ),
    "at_rate": ("At the one measured rate", "there is no area, for there is a single rate"),
}
PATTERNS = {
    "rmm": "whole modalities",
    "imbalanced": "whole modalities, unequally",
    "rmfm": "frames, from few to all",
    "rmfm_iid": "single frames",
    "tmfm": "moments, in all modalities",
    "stmfm": "one stretch, in all modalities",
    "outage": "outages over several turns",
    "speaker": "channels of one speaker",
}
SHARES = ("relative_robustness", "effective_robustness", "share_of_ceiling")  # more is better, whatever the metric
_LOWER = ("error", "loss", "brier", "mae", "mse", "nll", "ece", "distance", "divergence")


def spaced(name: str) -> str:
    """A code name as words: ``random_frames`` becomes ``random frames``."""
    return name.replace("_", " ").strip()


def capital(text: str) -> str:
    """``text`` with a capital first letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def metric_label(name: str) -> str:
    """Words of a metric; ``f1:joy`` is the F1 of one class."""
    if name.startswith("f1:"):
        return f"F1 of {name.removeprefix('f1:')}"
    return LABELS.get(name, capital(spaced(name)))


def metric_note(name: str) -> str:
    """What a metric says, in half a sentence; empty if it is not one of ours."""
    return next((m.doc for m in METRICS if m.name == name), "")


def higher_is_better(metric: str, measure: str = "auilc") -> bool:
    """Direction of a metric or of an area measure of it; an unknown metric is judged by the words in its name."""
    if measure in SHARES:
        return True
    known = next((m.higher for m in METRICS if m.name == metric), None)
    return not any(part in _LOWER for part in metric.lower().split("_")) if known is None else known


def measure_label(name: str) -> str:
    """Words of an area measure."""
    return MEASURES[name][0] if name in MEASURES else capital(spaced(name))


def measure_note(name: str) -> str:
    """What an area measure says, in half a sentence."""
    return MEASURES.get(name, ("", ""))[1]


def subset_label(setting: str) -> str:
    """``audio+text`` as ``audio + text``."""
    return " + ".join(part.strip() for part in setting.split("+"))


def panel_label(pattern: str, setting: str = "") -> str:
    """What goes missing, in words, with the pattern's code and setting."""
    if pattern == FIXED:
        return f"only {subset_label(setting)}" if setting else "available modalities"
    inside = ", ".join(part for part in ((pattern if pattern in PATTERNS else ""), spaced(setting)) if part)
    return PATTERNS.get(pattern, spaced(pattern)) + (f" ({inside})" if inside else "")


def pattern_note(pattern: str) -> str:
    """The first sentence that the pattern says about itself, and what its rate is a share of; empty if it is not ours."""
    try:
        cls = pattern_class(pattern)
    except ConfigError:
        return ""
    first = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    return f"{first} The rate is a share of {cls.unit}."


def percent(rate: float) -> str:
    """A rate as a percentage without needless digits."""
    return f"{rate * 100:.3g}\u202f%"


def number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """A value as text; ``n/a`` if it is not finite."""
    if not math.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if sign or value < 0 else text


def interval(low: float, high: float, digits: int = 3, *, sign: bool = False) -> str:
    """An interval as text, or nothing if there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def listing(names: list[str], most: int = 6) -> str:
    """Names as ``a, b and c``; long lists are cut with a count."""
    if len(names) > most:
        return ", ".join(names[: most - 1]) + f" and {len(names) - most + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
