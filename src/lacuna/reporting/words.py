"""Plain words for the names in the tables: metrics, patterns, settings, measures; and one way to write a number."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIXED = "fixed"  # the pattern whose settings are subsets of modalities
CONSTANT = "always the same answer"


@dataclass(frozen=True)
class Metric:
    """How a metric is called and read.

    Attributes:
        label: in words, as on an axis.
        higher: more is better.
        note: what it says, in half a sentence.
    """

    label: str
    higher: bool = True
    note: str = ""


METRICS = {
    "accuracy": Metric("Accuracy", note="share of utterances that are right"),
    "weighted_accuracy": Metric("Accuracy", note="share of utterances that are right"),
    "unweighted_accuracy": Metric("Unweighted accuracy", note="mean over classes of the share found"),
    "uar": Metric("Unweighted average recall", note="mean over classes of the share found"),
    "balanced_accuracy": Metric("Balanced accuracy", note="mean over classes of the share found"),
    "weighted_f1": Metric("Weighted F1", note="F1 of each class, weighted by how often it occurs"),
    "macro_f1": Metric("Macro F1", note="F1 of each class, all classes alike"),
    "kappa": Metric("Cohen's kappa", note="agreement beyond chance"),
    "ece": Metric("Calibration error (ECE)", False, "how far stated confidence is from being right"),
    "nll": Metric("Log loss (nats)", False, "how surprised the model is by the truth"),
    "log_loss": Metric("Log loss (nats)", False, "how surprised the model is by the truth"),
    "cross_entropy": Metric("Cross-entropy (nats)", False, "how surprised the model is by the truth"),
    "brier": Metric("Brier score", False, "mean squared error of the probabilities"),
    "kl": Metric("KL divergence (nats)", False, "distance to the annotators' distribution"),
    "mae": Metric("Mean absolute error", False, "how far off the score is"),
    "mse": Metric("Mean squared error", False, "squared distance of the score"),
    "rmse": Metric("Root mean squared error", False, "how far off the score is, large errors more"),
    "pearson": Metric("Correlation (Pearson)", note="how well the scores go along with the truth"),
    "correlation": Metric("Correlation (Pearson)", note="how well the scores go along with the truth"),
    "ccc": Metric("Concordance correlation", note="correlation that also asks for the right level"),
}
MEASURES = {
    "auilc": ("Mean over all missing rates (AUILC)", "the area under the curve, as a mean height"),
    "relative_robustness": ("Relative robustness", "what is left of the value without loss, as a share"),
    "effective_robustness": ("Effective robustness", "how much more is left than expected"),
}
_LOWER = ("error", "loss", "mae", "mse", "nll", "ece", "distance", "divergence")


def spaced(name: str) -> str:
    """A code name as words: ``random_frames`` becomes ``random frames``."""
    return name.replace("_", " ").strip()


def capital(text: str) -> str:
    """``text`` with a capital first letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def metric_of(name: str) -> Metric:
    """Words and direction of a metric; an unknown name is judged by its parts."""
    if name in METRICS:
        return METRICS[name]
    return Metric(capital(spaced(name)), not any(part in _LOWER for part in name.lower().split("_")))


def measure_label(name: str) -> str:
    """Words of an area measure."""
    return MEASURES[name][0] if name in MEASURES else capital(spaced(name))


def subset_label(setting: str) -> str:
    """``audio+text`` as ``audio + text``."""
    return " + ".join(part.strip() for part in setting.split("+"))


def panel_label(pattern: str, setting: str = "") -> str:
    """A pattern and, where it has one, its setting, in words."""
    if pattern == FIXED:
        return f"only {subset_label(setting)}" if setting else "fixed subset"
    return f"{spaced(pattern)} ({spaced(setting)})" if setting else spaced(pattern)


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
