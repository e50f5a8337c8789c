"""What is told of recoveries, in words: units, and the measures of each table."""

from __future__ import annotations

from dataclasses import dataclass

UNITS = {"utterance": "wholly lost", "frame": "lost in part"}
UNIT_NOTES = {
    "utterance": "wholly lost: nothing of the modality was left in the utterance; means over its frames are compared",
    "frame": "lost in part: frames that were lost beside others of the utterance and modality; frame against frame",
}


@dataclass(frozen=True)
class Kind:
    """A table's measures.

    Attributes:
        name: in file names.
        label: in words.
        note: what it says; sentences.
        measures: what stands beside the modality in the head, by measure; nothing if there is one measure only.
        higher: more is better, or ``None`` where neither is.
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
        "What of the mean fill's squared error is gone, as a part of what is gone with the best possible recovery: 0 is the mean "
        "fill, 1 the oracle. Not given where the oracle gains too little over the mean fill.",
        {"share_of_oracle": ""},
        True,
    ),
    Kind("gain", "Gain over the mean fill", "The share of the mean fill's squared error that is gone.", {"gain": ""}, True),
    Kind(
        "mse",
        "Squared error",
        "In standardised units, mean over columns. The mean fill fills in zeros; a conditional mean has the least error.",
        {"mse": ""},
        False,
    ),
    Kind("cosine", "Cosine", "Between recovered and true vectors; 0 for the mean fill, all zeros.", {"cosine": ""}, True),
    Kind(
        "mmd",
        "MMD",
        "Squared maximum mean discrepancy between recovered and true vectors, unbiased, so it may be negative. By chance: where "
        "it lies if both are of one distribution, mean and band. p: of that hypothesis, the largest of the training seeds. A "
        "conditional mean varies less than the truth, and is told apart by that.",
        {"mmd": "", "mmd_null": "by chance", "mmd_p": "p"},
        False,
        digits=4,
    ),
    Kind(
        "moments",
        "Errors of the moments",
        "Of means and of standard deviations the differences, root mean square over columns; of covariances their distance, as a "
        "share of the true ones' length. The mean fill knows the mean, and nothing else.",
        {"mean_error": "mean", "std_error": "deviation", "covariance_error": "covariance"},
        False,
    ),
    Kind(
        "variance",
        "Share of the variance",
        "Total variance of recovered vectors over that of the true ones: 1 is right.",
        {"variance_ratio": ""},
        None,
    ),
    Kind("crps", "CRPS of the draws", "Continuous ranked probability score, mean over columns.", {"crps": ""}, False),
    Kind(
        "coverage",
        "Coverage of the draws",
        "Share of true values in the draws' central intervals; the head says what it should be.",
        {},
        None,
    ),
)
