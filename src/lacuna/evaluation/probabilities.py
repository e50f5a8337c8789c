"""Tables on confidence from the counts of sweeps: reliability bins and risk-coverage curves; they cost no further prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lacuna.evaluation.sureness import sureness_rows
from lacuna.evaluation.sweep import Sweep
from lacuna.metrics.counts import Counts
from lacuna.metrics.scores import by_confidence

CALIBRATION_COLUMNS = ["corpus", "model", "pattern", "setting", "rate", "confidence", "accuracy", "count"]
RISK_COLUMNS = ["corpus", "model", "pattern", "setting", "rate", "coverage", "risk"]
LEAST = 10  # utterances behind a point of a risk-coverage curve
Key = tuple[str, str, str, str, float]


def calibration_table(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Return mean confidence and accuracy of each bin of confidence, summed over training and mask seeds.

    Args:
        sweeps: as for :func:`lacuna.evaluation.bootstrap`.

    Returns:
        One row for each model, pattern, setting, rate and bin with an utterance: corpus, model, pattern, setting, rate,
        confidence, accuracy, count. No rows for values.
    """
    rows = []
    for key, counts in _conditions(sweeps):
        for n, hits, confidence in counts.part("bins"):
            if n > 0:
                rows.append((*key, confidence / n, hits / n, int(n)))
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)


def risk_coverage_table(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Return the error rate of the most confident utterances by the share that is kept, over training and mask seeds.

    Args:
        sweeps: as for :func:`lacuna.evaluation.bootstrap`.

    Returns:
        One row for each model, pattern, setting, rate and threshold (the lower edge of a bin of confidence with an utterance):
        corpus, model, pattern, setting, rate, coverage, risk. Thresholds that keep fewer than ``LEAST`` utterances are left out,
        and there are no rows for values.
    """
    rows = []
    for key, counts in _conditions(sweeps):
        n, errors = by_confidence(counts)
        kept, wrong = n.cumsum(), errors.cumsum()
        for i in np.flatnonzero((n > 0) & (kept >= min(LEAST, kept[-1]))):
            rows.append((*key, kept[i] / kept[-1], wrong[i] / kept[i]))
    return pd.DataFrame(rows, columns=RISK_COLUMNS)


def sureness_table(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """Return how often prediction sets held the truth and sure answers were wrong, summed over training and mask seeds.

    Args:
        sweeps: as for :func:`lacuna.evaluation.bootstrap`.

    Returns:
        One row for each model, pattern, setting, rate and set of available modalities: corpus, model, pattern, setting, rate, and
        the columns of :func:`lacuna.evaluation.sureness.sureness_rows`. No rows for recognisers without prediction sets.
    """
    rows = (
        ((one.corpus, one.model, c.pattern, c.setting, c.rate), one.sets, place)
        for one in sweeps
        if one.sets is not None
        for place, c in enumerate(one.conditions)
    )
    return sureness_rows(rows, ["corpus", "model", "pattern", "setting", "rate"])


def _conditions(sweeps: Sequence[Sweep]) -> Iterator[tuple[Key, Counts]]:
    """Yield the summed counts (K,) of each model and condition."""
    sums: dict[Key, Counts] = {}
    for one in sweeps:
        if one.target.task == "regression":
            continue
        for place, c in enumerate(one.conditions):
            key = (one.corpus, one.model, c.pattern, c.setting, c.rate)
            counts = Counts(one.target, one.pooled.values[place])
            sums[key] = sums[key] + counts if key in sums else counts
    yield from sums.items()
