"""Every metric, defined once: a function of summed counts with any leading axes, so one call measures all bootstrap replicates.

Training selects weights by the same functions that evaluation reports. Confusion matrices have the true class in rows. (The first
LNLN release swapped the arguments of the weighted F1: its majority-class baseline on 277 and 379 utterances scored 0.732 instead
of 0.423.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.metrics.counts import Array, Counts, is_sentiment


@dataclass(frozen=True)
class Metric:
    """A metric with its direction and range.

    Attributes:
        name: as in tables.
        compute: (..., K) counts -> (...) float64; NaN where there is nothing to score.
        applies: whether the metric is defined for a target.
        higher: higher is better.
        low: lowest possible value, ``None`` = unbounded.
        high: highest possible value, ``None`` = unbounded.
        doc: definition in one line.
        detail: left out of summaries by default.
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
    """Return ``above / below``, and ``otherwise`` where ``below`` is not positive.

    Args:
        above: (...) numerators.
        below: (...) denominators.
        otherwise: value where the ratio is undefined.

    Returns:
        (...) float64.

    Example:
        >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    above, below = np.broadcast_arrays(above, below)
    result = np.full(above.shape, otherwise, np.float64)
    np.divide(above, below, out=result, where=below > 0)
    return result


def accuracy(counts: Counts) -> Array:
    """Return the share of correct utterances, called weighted accuracy (WA) in speech emotion recognition."""
    return ratio(counts.hits.sum(axis=-1), counts.part("n"))


def unweighted_accuracy(counts: Counts) -> Array:
    """Return the mean recall over the classes that occur in the truth (UA), scikit-learn's ``balanced_accuracy_score``."""
    recall = ratio(counts.hits, counts.truth, 0.0)
    return ratio(recall.sum(axis=-1), (counts.truth > 0).sum(axis=-1).astype(np.float64))


def f1_by_class(counts: Counts) -> Array:
    """Return the F1 of each class against the rest, (..., C); 0 where a class neither occurs nor is predicted."""
    return ratio(2 * counts.hits, counts.truth + counts.predicted, 0.0)


def weighted_f1(counts: Counts) -> Array:
    """Return the F1 averaged over classes, each weighted by its share of the truth."""
    return ratio((f1_by_class(counts) * counts.truth).sum(axis=-1), counts.truth.sum(axis=-1))


def weighted_f1_of(confusion: Array | NDArray[np.int64]) -> Array:
    r"""Return the weighted F1 of confusion matrices.

    :math:`\sum_c n_c\, 2\,TP_c / (n_c + m_c) / \sum_c n_c` with :math:`n_c` true and :math:`m_c` predicted utterances of class c.

    Args:
        confusion: (..., C, C) counts, rows are the true class; a class with an empty row has weight 0.

    Returns:
        (...) float64 in [0, 1]; NaN without any utterance.

    Example:
        >>> round(float(weighted_f1_of(np.array([[0, 277], [0, 379]]))), 3)
        0.423
    """
    confusion = np.asarray(confusion, np.float64)
    hits, truth = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
    by_class = ratio(2 * hits, truth + confusion.sum(axis=-2), 0.0)
    return ratio((by_class * truth).sum(axis=-1), truth.sum(axis=-1))


def macro_f1(counts: Counts) -> Array:
    """Return the F1 averaged over the classes that occur in the truth or the predictions, scikit-learn's default labels.

    A bootstrap replicate without a rare class averages over the other classes, as scikit-learn would on that replicate.
    """
    occurring = ((counts.truth + counts.predicted) > 0).sum(axis=-1).astype(np.float64)
    return ratio(f1_by_class(counts).sum(axis=-1), occurring)


def expected_calibration_error(counts: Counts) -> Array:
    """Return the mean gap between confidence and accuracy over 15 equal-width bins, weighted by utterances.

    Reference: Guo et al., ICML 2017 (arXiv 1706.04599), equation 3.
    """
    bins = counts.part("bins")  # (..., 15, 3)
    return ratio(np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1), counts.part("n"))


def maximum_calibration_error(counts: Counts) -> Array:
    """Return the largest gap between confidence and accuracy over the bins that are not empty (Guo et al., equation 5)."""
    bins = counts.part("bins")
    gap = ratio(np.abs(bins[..., 1] - bins[..., 2]), bins[..., 0], 0.0).max(axis=-1)
    return np.where(counts.part("n") > 0, gap, np.nan)


def by_confidence(counts: Counts) -> tuple[Array, Array]:
    """Return the number of utterances and of errors by confidence, most confident first: (..., 20) each.

    The bins are those of the calibration error, with the last one in six parts (:data:`lacuna.metrics.counts.HIGH`).
    """
    cells = np.concatenate([counts.part("bins")[..., :-1, :2], counts.part("high")], axis=-2)[..., ::-1, :]  # (..., 20, 2)
    return cells[..., 0], cells[..., 0] - cells[..., 1]


def area_under_risk_coverage(counts: Counts) -> Array:
    r"""Return the mean error rate of the most confident utterances, over all shares that are kept (AURC); lower is better.

    The error rate (risk) of the share :math:`c` that is most confident, integrated over c from 0 to 1. Utterances in one of the
    20 bins of confidence are not ordered: within a bin the errors are spread evenly. So a constant prediction has its error rate,
    and the area is too large for models whose confidences lie in few bins.

    Reference: Geifman, Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019.

    Example:
        >>> from lacuna.metrics.counts import count
        >>> target = Target("mood", "classification", ("low", "high"))
        >>> logits, labels = np.array([[9.0, 0.0], [1.0, 0.0]]), np.array([0, 1])  # the confident answer is right
        >>> round(float(area_under_risk_coverage(count(target, logits, labels, np.zeros(2, np.int64), 1))[0]), 3)
        0.153
    """
    n, errors = by_confidence(counts)
    before, errors_before = n.cumsum(axis=-1) - n, errors.cumsum(axis=-1) - errors
    rate = ratio(errors, n, 0.0)
    growth = np.log(np.where(before > 0, (before + n) / np.where(before > 0, before, 1), 1))
    area = rate * n + (errors_before - rate * before) * growth  # integral of (errors_before + rate t) / (before + t) over the bin
    return ratio(area.sum(axis=-1), n.sum(axis=-1))


def kullback_leibler(counts: Counts) -> Array:
    """Return the mean KL divergence of the prediction from the soft label, in nats."""
    return ratio(counts.part("cross_entropy") - counts.part("entropy"), counts.part("n"))


def rmse(counts: Counts) -> Array:
    """Return the root mean squared error."""
    return np.sqrt(ratio(counts.part("squared"), counts.part("n")))


_SUMS = ("n", "y", "p", "yy", "pp", "yp")  # of a regression target, see metrics.counts.columns


def _moments(sums: Sequence[Array] | Array) -> tuple[Array, Array, Array, Array]:
    """Return the difference of means, both variances and the covariance from n and the sums of y, p, y*y, p*p, y*p.

    A standard deviation below 1e-5 of the root mean square counts as 0: it is rounding error.
    """
    n = sums[0]
    y, p, yy, pp, yp = (ratio(sums[i], n) for i in range(1, 6))
    var_y, var_p = yy - y * y, pp - p * p
    var_y, var_p = np.where(var_y <= 1e-10 * yy, 0, var_y), np.where(var_p <= 1e-10 * pp, 0, var_p)
    return y - p, var_y, var_p, np.where((var_y == 0) | (var_p == 0), 0, yp - y * p)


def pearson(counts: Counts) -> Array:
    """Return the Pearson correlation; 0 where labels or predictions do not vary and the formula is 0 / 0."""
    _, var_y, var_p, covariance = _moments([counts.part(name) for name in _SUMS])
    value = ratio(covariance, np.sqrt(var_y * var_p), 0.0)
    return np.where(counts.part("n") > 0, np.clip(value, -1, 1), np.nan)


def ccc(counts: Counts) -> Array:
    """Return the concordance correlation coefficient; see :func:`ccc_of`."""
    return ccc_of([counts.part(name) for name in _SUMS])


def ccc_of(sums: Sequence[Array] | Array) -> Array:
    r"""Return the concordance correlation coefficient from additive sums.

    :math:`2 s_{yp} / (s_y^2 + s_p^2 + (\bar y - \bar p)^2)` with population moments.

    Args:
        sums: n and the sums of y, p, y*y, p*p and y*p, (...) float64 each, about any origin.

    Returns:
        (...) float64 in [-1, 1]; 0 where labels or predictions do not vary, NaN where n is 0.

    Reference:
        Lin, Biometrics 1989.

    Example:
        >>> y, p = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])
        >>> round(float(ccc_of(np.array([3, y.sum(), p.sum(), y @ y, p @ p, y @ p]))), 4)
        0.8571
    """
    difference, var_y, var_p, covariance = _moments(sums)
    value = ratio(2 * covariance, var_y + var_p + difference * difference, 0.0)
    return np.where(sums[0] > 0, value, np.nan)


def _two_class_accuracy(confusion: Array) -> Array:
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def _not_neutral(counts: Counts) -> Array:
    """Return the confusion matrix without the utterances whose true class is neutral."""
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
    Metric("weighted_f1", weighted_f1, _classes, True, 0, 1, "F1 averaged over classes, weighted by their share of the truth"),
    Metric("macro_f1", macro_f1, _classes, True, 0, 1, "F1 averaged over classes with equal weights"),
    Metric("accuracy", accuracy, _classes, True, 0, 1, "share of correct utterances (WA)"),
    Metric("unweighted_accuracy", unweighted_accuracy, _classes, True, 0, 1, "mean recall over classes (UA)"),
    Metric(
        "non0_accuracy", lambda c: _two_class_accuracy(_not_neutral(c)), _polarity, True, 0, 1,
        "accuracy on utterances that are not neutral; predicting neutral is an error (CIDer's Non0-Acc2)",
    ),
    Metric(
        "non0_f1", lambda c: weighted_f1_of(_not_neutral(c)), _polarity, True, 0, 1,
        "weighted F1 of utterances that are not neutral (CIDer)",
    ),
    Metric("log_loss", _mean_of("log_loss"), _classes, False, 0, None, "mean negative log-probability of the true class (nats)"),
    Metric("brier", _mean_of("brier"), _classes, False, 0, 2, "mean squared distance of the probabilities from the truth"),
    Metric("ece", expected_calibration_error, _classes, False, 0, 1, "mean gap between confidence and accuracy, 15 bins"),
    Metric("mce", maximum_calibration_error, _classes, False, 0, 1, "largest gap between confidence and accuracy", detail=True),
    Metric("aurc", area_under_risk_coverage, _classes, False, 0, 1, "mean error rate of the most confident share, all shares"),
    Metric("cross_entropy", _mean_of("cross_entropy"), _soft, False, 0, None, "mean cross-entropy to the soft label, in nats"),
    Metric("kl", kullback_leibler, _soft, False, 0, None, "mean KL divergence from the soft label, in nats"),
    Metric("js", _mean_of("jensen_shannon"), _soft, False, 0, float(np.log(2)), "mean Jensen-Shannon divergence, in nats"),
    Metric("ccc", ccc, _values, True, -1, 1, "concordance correlation; 0 for constant predictions"),
    Metric("pearson", pearson, _values, True, -1, 1, "linear correlation; 0 for constant predictions"),
    Metric("mae", _mean_of("absolute"), _values, False, 0, None, "mean absolute error"),
    Metric("rmse", rmse, _values, False, 0, None, "root mean squared error"),
    Metric("acc2_has0", lambda c: _two_class_accuracy(c.part("has0")), is_sentiment, True, 0, 1, "y >= 0 against p >= 0"),
    Metric("f1_has0", lambda c: weighted_f1_of(c.part("has0")), is_sentiment, True, 0, 1, "weighted F1 of y >= 0 against p >= 0"),
    Metric("acc2_non0", lambda c: _two_class_accuracy(c.part("non0")), is_sentiment, True, 0, 1, "y > 0 against p > 0, no y = 0"),
    Metric("f1_non0", lambda c: weighted_f1_of(c.part("non0")), is_sentiment, True, 0, 1, "weighted F1 of y > 0, no y = 0"),
    Metric("acc5", _mean_of("same5"), is_sentiment, True, 0, 1, "equal after clipping to -2..2 and rounding half to even"),
    Metric("acc7", _mean_of("same7"), is_sentiment, True, 0, 1, "equal after clipping to -3..3 and rounding half to even"),
)  # fmt: skip


def primary(target: Target) -> str:
    """Return the name of the metric that selects models and comes first in tables; higher is better.

    ``weighted_f1`` for classes and soft labels, as in most of the literature. ``ccc`` for values: it works on any scale, needs no
    threshold, and is exactly 0 for the mean baseline, whereas MAE or Acc2 can look good on a skewed test set without any skill.

    Example:
        >>> primary(Target("valence", "regression", low=1, high=5))
        'ccc'
    """
    return "ccc" if target.task == "regression" else "weighted_f1"


def metrics_of(target: Target, detail: bool = False) -> tuple[Metric, ...]:
    """Return the metrics that are defined for a target, the primary metric first.

    Args:
        target: what is predicted.
        detail: include detailed metrics, such as the F1 of each class (``f1:<class>``).

    Example:
        >>> [m.name for m in metrics_of(Target("valence", "regression", low=1, high=5))]
        ['ccc', 'pearson', 'mae', 'rmse']
    """
    chosen = [m for m in METRICS if m.applies(target) and (detail or not m.detail)]
    if detail and target.task != "regression":
        for index, name in enumerate(target.classes):
            chosen.append(Metric(f"f1:{name}", _class_f1(index), _classes, True, 0, 1, f"F1 of {name} against the rest", True))
    return tuple(chosen)


def _class_f1(index: int) -> Callable[[Counts], Array]:
    return lambda counts: f1_by_class(counts)[..., index]


def metric(target: Target, name: str) -> Metric:
    """Return a metric by name.

    Raises:
        ConfigError: the target has no metric of that name.
    """
    known = {candidate.name: candidate for candidate in metrics_of(target, detail=True)}
    if name not in known:
        raise ConfigError(f"no metric {name!r} for target '{target.name}' ({target.task}); there are: {', '.join(known)}")
    return known[name]


def score(counts: Counts, name: str | None = None) -> Array:
    """Return one metric of some counts, by default the primary one: (..., K) -> (...).

    Example:
        >>> from lacuna.metrics.counts import count
        >>> target = Target("mood", "classification", ("low", "high"))
        >>> counts = count(target, np.eye(2)[[0, 1, 0]], np.array([0, 1, 1]), np.zeros(3, np.int64), 1)
        >>> score(counts, "accuracy").round(3).tolist()
        [0.667]
    """
    return metric(counts.target, name or primary(counts.target)).compute(counts)
