"""Every metric, once: a function of summed counts with any leading axes, so that bootstrap replicates cost one call.

Confusion matrices have the truth in rows, everywhere. (The first LNLN release gave the arguments of the weighted F1 in the
wrong order, which made a constant answer on 277 against 379 utterances read 0.732 instead of 0.423.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.metrics.counts import Array, Counts, is_sentiment


@dataclass(frozen=True)
class Metric:
    """A metric and what one must know to read it.

    Attributes:
        name: as in tables.
        compute: (..., K) counts -> (...) float64; NaN where there is nothing to score.
        applies: whether the metric means something for a target.
        higher: higher is better.
        low: lowest possible value, ``None`` = unbounded.
        high: highest possible value, ``None`` = unbounded.
        doc: one line.
        detail: left out of summaries unless asked for.
    """

    name: str
    compute: Callable[[Counts], Array]
    applies: Callable[[Target], bool]
    higher: bool
    low: float | None
    high: float | None
    doc: str
    detail: bool = False


def ratio(above: Array, below: Array, otherwise: float = np.nan) -> Array:
    """``above / below``, and ``otherwise`` where ``below`` is not positive."""
    above, below = np.broadcast_arrays(above, below)
    result = np.full(above.shape, otherwise, np.float64)
    np.divide(above, below, out=result, where=below > 0)
    return result


def accuracy(counts: Counts) -> Array:
    """Share of utterances recognised, called WA (weighted accuracy) in speech emotion recognition."""
    return ratio(counts.hits.sum(axis=-1), counts.part("n"))


def unweighted_accuracy(counts: Counts) -> Array:
    """Mean recall over the classes that occur in the truth (UA); scikit-learn's ``balanced_accuracy_score``."""
    recall = ratio(counts.hits, counts.truth, 0.0)
    return ratio(recall.sum(axis=-1), (counts.truth > 0).sum(axis=-1).astype(np.float64))


def f1_by_class(counts: Counts) -> Array:
    """F1 of each class against the rest: (..., C); 0 where a class neither occurs nor is predicted."""
    return ratio(2 * counts.hits, counts.truth + counts.predicted, 0.0)


def weighted_f1(counts: Counts) -> Array:
    """F1 averaged over classes by how often they occur in the truth."""
    return ratio((f1_by_class(counts) * counts.truth).sum(axis=-1), counts.part("n"))


def macro_f1(counts: Counts) -> Array:
    """F1 averaged over the classes that occur in the truth or among the answers, scikit-learn's default labels.

    A bootstrap replicate without a rare class averages over the others, as scikit-learn would on that replicate.
    """
    present = ((counts.truth + counts.predicted) > 0).sum(axis=-1).astype(np.float64)
    return ratio(f1_by_class(counts).sum(axis=-1), present)


def expected_calibration_error(counts: Counts) -> Array:
    """Mean gap between confidence and accuracy over 15 equal-width bins, by utterances (Guo et al. 2017)."""
    bins = counts.part("bins")  # (..., 15, 3)
    return ratio(np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1), counts.part("n"))


def maximum_calibration_error(counts: Counts) -> Array:
    """Largest gap between confidence and accuracy among the bins that are not empty."""
    bins = counts.part("bins")
    gap = ratio(np.abs(bins[..., 1] - bins[..., 2]), bins[..., 0], 0.0).max(axis=-1)
    return np.where(counts.part("n") > 0, gap, np.nan)


def kullback_leibler(counts: Counts) -> Array:
    """Mean KL divergence of the answer from the soft label, in nats."""
    return ratio(counts.part("cross_entropy") - counts.part("entropy"), counts.part("n"))


def rmse(counts: Counts) -> Array:
    """Root of the mean squared error."""
    return np.sqrt(ratio(counts.part("squared"), counts.part("n")))


def _moments(counts: Counts) -> tuple[Array, Array, Array, Array]:
    """Difference of means, variances of truth and answer, covariance; a spread below 1e-5 of the size counts as none."""
    n = counts.part("n")
    y, p, yy, pp, yp = (ratio(counts.part(name), n) for name in ("y", "p", "yy", "pp", "yp"))
    var_y, var_p = yy - y * y, pp - p * p
    var_y, var_p = np.where(var_y <= 1e-10 * yy, 0, var_y), np.where(var_p <= 1e-10 * pp, 0, var_p)
    return y - p, var_y, var_p, np.where((var_y == 0) | (var_p == 0), 0, yp - y * p)


def pearson(counts: Counts) -> Array:
    """Pearson correlation; 0 if truth or answer is constant (where the formula is 0/0), since it then tells nothing."""
    _, var_y, var_p, covariance = _moments(counts)
    value = ratio(covariance, np.sqrt(var_y * var_p), 0.0)
    return np.where(counts.part("n") > 0, np.clip(value, -1, 1), np.nan)


def ccc(counts: Counts) -> Array:
    """Concordance correlation (Lin 1989), population moments; 0 for a constant answer, whatever the constant."""
    difference, var_y, var_p, covariance = _moments(counts)
    value = ratio(2 * covariance, var_y + var_p + difference * difference, 0.0)
    return np.where(counts.part("n") > 0, value, np.nan)


def _two_class_accuracy(confusion: Array) -> Array:
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def _f1_over_rows(confusion: Array) -> Array:
    """Weighted F1 of a confusion matrix (..., C, C) whose empty rows are classes that are not scored."""
    hits, truth = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
    each = ratio(2 * hits, truth + confusion.sum(axis=-2), 0.0)
    return ratio((each * truth).sum(axis=-1), truth.sum(axis=-1))


def _not_neutral(counts: Counts) -> Array:
    """The confusion matrix without the utterances that are truly neutral."""
    keep = np.array([name != "neutral" for name in counts.target.classes], np.float64)
    return counts.part("confusion") * keep[:, None]


def _mean_of(name: str) -> Callable[[Counts], Array]:
    return lambda counts: ratio(counts.part(name), counts.part("n"))


def _classes(target: Target) -> bool:
    return target.task != "regression"


def _soft(target: Target) -> bool:
    return target.task == "soft"


def _values(target: Target) -> bool:
    return target.task == "regression"


def _polarity(target: Target) -> bool:
    return len(target.classes) == 3 and "neutral" in target.classes


METRICS: tuple[Metric, ...] = (
    Metric("weighted_f1", weighted_f1, _classes, True, 0, 1, "F1 averaged over classes by their share of the truth"),
    Metric("macro_f1", macro_f1, _classes, True, 0, 1, "F1 averaged over classes, each counting the same"),
    Metric("accuracy", accuracy, _classes, True, 0, 1, "share recognised (WA)"),
    Metric("unweighted_accuracy", unweighted_accuracy, _classes, True, 0, 1, "mean recall over classes (UA)"),
    Metric(
        "non0_accuracy",
        lambda c: _two_class_accuracy(_not_neutral(c)),
        _polarity,
        True,
        0,
        1,
        "share recognised of what is not neutral; answering neutral is an error (CIDer's Non0-Acc2)",
    ),
    Metric(
        "non0_f1", lambda c: _f1_over_rows(_not_neutral(c)), _polarity, True, 0, 1, "weighted F1 of what is not neutral (CIDer)"
    ),
    Metric("log_loss", _mean_of("log_loss"), _classes, False, 0, None, "mean surprise at the true class, in nats"),
    Metric("brier", _mean_of("brier"), _classes, False, 0, 2, "mean squared distance of the probabilities from the truth"),
    Metric("ece", expected_calibration_error, _classes, False, 0, 1, "mean gap between confidence and accuracy, 15 bins"),
    Metric("mce", maximum_calibration_error, _classes, False, 0, 1, "largest gap between confidence and accuracy", detail=True),
    Metric("cross_entropy", _mean_of("cross_entropy"), _soft, False, 0, None, "mean cross-entropy to the soft label, in nats"),
    Metric("kl", kullback_leibler, _soft, False, 0, None, "mean KL divergence from the soft label, in nats"),
    Metric("js", _mean_of("jensen_shannon"), _soft, False, 0, float(np.log(2)), "mean Jensen-Shannon divergence, in nats"),
    Metric("ccc", ccc, _values, True, -1, 1, "concordance correlation; 0 for a constant"),
    Metric("pearson", pearson, _values, True, -1, 1, "linear correlation; 0 for a constant"),
    Metric("mae", _mean_of("absolute"), _values, False, 0, None, "mean absolute error"),
    Metric("rmse", rmse, _values, False, 0, None, "root mean squared error"),
    Metric("acc2_has0", lambda c: _two_class_accuracy(c.part("has0")), is_sentiment, True, 0, 1, "y >= 0 against p >= 0"),
    Metric("f1_has0", lambda c: _f1_over_rows(c.part("has0")), is_sentiment, True, 0, 1, "weighted F1 of y >= 0 against p >= 0"),
    Metric("acc2_non0", lambda c: _two_class_accuracy(c.part("non0")), is_sentiment, True, 0, 1, "y > 0 against p > 0, no y = 0"),
    Metric("f1_non0", lambda c: _f1_over_rows(c.part("non0")), is_sentiment, True, 0, 1, "weighted F1 of y > 0, no y = 0"),
    Metric("acc5", _mean_of("same5"), is_sentiment, True, 0, 1, "equal after clipping to -2..2 and rounding half to even"),
    Metric("acc7", _mean_of("same7"), is_sentiment, True, 0, 1, "equal after clipping to -3..3 and rounding half to even"),
)  # fmt: skip


def primary(target: Target) -> str:
    """The metric that selects models and heads tables.

    ``weighted_f1`` for classes, as in most of the field. ``ccc`` for values: it works on any scale, needs no threshold, and a
    constant gets exactly 0, whereas a MAE or an Acc2 can look good on a skewed test set without any skill.
    """
    return "ccc" if target.task == "regression" else "weighted_f1"


def metrics_of(target: Target, detail: bool = False) -> tuple[Metric, ...]:
    """What can be measured on a target, the primary metric first.

    Args:
        target: what is predicted.
        detail: also metrics for a closer look: the F1 of each class (``f1:<class>``) and the like.
    """
    chosen = [m for m in METRICS if m.applies(target) and (detail or not m.detail)]
    if detail and target.task != "regression":
        for index, name in enumerate(target.classes):
            chosen.append(Metric(f"f1:{name}", _class_f1(index), _classes, True, 0, 1, f"F1 of {name} against the rest", True))
    return tuple(chosen)


def _class_f1(index: int) -> Callable[[Counts], Array]:
    return lambda counts: f1_by_class(counts)[..., index]


def metric(target: Target, name: str) -> Metric:
    """One metric by name.

    Raises:
        ConfigError: there is none of that name for the target.
    """
    known = metrics_of(target, detail=True)
    for candidate in known:
        if candidate.name == name:
            return candidate
    names = ", ".join(m.name for m in known)
    raise ConfigError(f"no metric {name!r} for target '{target.name}' ({target.task}); there are: {names}")


def score(counts: Counts, name: str | None = None) -> Array:
    """One metric of some counts, the primary one by default: (..., K) -> (...)."""
    return metric(counts.target, name or primary(counts.target)).compute(counts)
