"""Names and explanations of the units and measures of recovery quality."""

from __future__ import annotations

from dataclasses import dataclass

UNITS = {"utterance": "completely missing", "frame": "partly missing"}
UNIT_NOTES = {
    "utterance": "completely missing: no frame of the modality remained in the utterance; means over its frames are compared",
    "frame": "partly missing: some frames of the modality remained in the utterance; missing frames are compared one by one",
}


@dataclass(frozen=True)
class Kind:
    """The measures of one table.

    Attributes:
        name: part of the file name.
        label: readable name.
        note: explanation in sentences.
        measures: addition to the column head by measure; empty if there is a single measure.
        higher: higher is better, or ``None`` if there is no direction.
        digits: decimals.
    """

    name: str
    label: str
    note: str
    measures: dict[str, str]
    higher: bool | None
    digits: int = 3


KINDS = (
    Kind(
        "share",
        "Share of the oracle's recovery",
        "Reduction of the mean fill's squared error, as a share of the reduction by the best possible recovery: 0 is the mean "
        "fill, 1 the oracle. Not defined where the oracle gains too little over the mean fill.",
        {"share_of_oracle": ""},
        True,
    ),
    Kind(
        "gain",
        "Gain over the mean fill",
        "Reduction of the mean fill's squared error, as a share of that error.",
        {"gain": ""},
        True,
    ),
    Kind(
        "mse",
        "Squared error",
        "In standardised units, mean over columns. The mean fill is zero everywhere; a conditional mean has the smallest error.",
        {"mse": ""},
        False,
    ),
    Kind(
        "cosine",
        "Cosine",
        "Between recovered and true vectors; 0 for the mean fill, whose vectors are zero.",
        {"cosine": ""},
        True,
    ),
    Kind(
        "mmd",
        "MMD",
        "Squared maximum mean discrepancy between recovered and true vectors, unbiased, so it may be negative. By chance: its "
        "mean and interval if both have the same distribution. p: of that hypothesis, the largest of the training seeds. A "
        "conditional mean varies less than the truth, which increases the MMD.",
        {"mmd": "", "mmd_null": "by chance", "mmd_p": "p"},
        False,
        digits=4,
    ),
    Kind(
        "moments",
        "Errors of moments",
        "Differences of means and of standard deviations: root mean square over columns. Covariance: Frobenius distance, as a "
        "share of the norm of the true covariance. The mean fill is correct in the mean only.",
        {"mean_error": "mean", "std_error": "deviation", "covariance_error": "covariance"},
        False,
    ),
    Kind(
        "variance",
        "Variance ratio",
        "Total variance of recovered vectors divided by that of the true vectors; 1 is ideal.",
        {"variance_ratio": ""},
        None,
    ),
    Kind("crps", "CRPS of the draws", "Continuous ranked probability score, mean over columns.", {"crps": ""}, False),
    Kind(
        "coverage",
        "Coverage of the draws",
        "Share of true values inside the central interval of the draws; the column head names the nominal level.",
        {},
        None,
    ),
)
