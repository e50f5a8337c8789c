"""Coverage of bootstrap intervals over dialogues, by simulation; prints JSON, or Markdown with ``--markdown``.

Dialogues are easy or difficult: utterances are correct with probability 0.9 or 0.3, so the true accuracy is 0.6 and utterances
of a dialogue depend on each other. Each trial draws a corpus, bootstraps its dialogues and checks whether the percentile interval
contains the true value; ``by utterance`` resamples utterances as if they were independent. Intervals are computed without the
lower limit :data:`lacuna.metrics.bootstrap.MIN_DIALOGUES`, which this benchmark justifies.
Usage: ``OMP_NUM_THREADS=1 python benchmarks/coverage.py [--trials 2000] [--replicates 500] [--turns 15] [--markdown]``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.metrics.bootstrap import MIN_DIALOGUES, interval, resample_weights

DIALOGUES = (6, 10, 20, 40, 100)
LEVEL, EASY, DIFFICULT = 0.95, 0.9, 0.3
TRUE = (EASY + DIFFICULT) / 2


@dataclass(frozen=True)
class Coverage:
    """Coverage of one number of dialogues.

    Attributes:
        dialogues: number of dialogues.
        by_dialogue: share of intervals over dialogues that contain the true accuracy.
        by_utterance: the same if utterances are resampled.
        standard_error: of ``by_dialogue`` over trials.
        width: mean width of the intervals over dialogues.
    """

    dialogues: int
    by_dialogue: float
    by_utterance: float
    standard_error: float
    width: float


def simulate(dialogues: int, turns: int, trials: int, replicates: int) -> Coverage:
    """Return the coverage with some dialogues of as many turns each."""
    rng = np.random.default_rng([0, dialogues])
    inside, inside_naive, widths = 0, 0, []
    for trial in range(trials):
        chance = np.where(rng.random((dialogues, 1)) < 0.5, EASY, DIFFICULT)
        correct = rng.random((dialogues, turns)) < chance  # (D, T)
        low, high = bounds(correct.mean(axis=1), resample_weights([trial, dialogues], dialogues, replicates))
        inside += low <= TRUE <= high
        widths.append(high - low)
        n = correct.size
        naive = rng.binomial(n, correct.mean(), replicates) / n  # resampling utterances draws a binomial number of correct ones
        low, high = np.quantile(naive, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        inside_naive += low <= TRUE <= high
    share = inside / trials
    error = float(np.sqrt(share * (1 - share) / trials))
    return Coverage(
        dialogues, round(share, 4), round(inside_naive / trials, 4), round(error, 4), round(float(np.mean(widths)), 4)
    )


def bounds(accuracy: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of the mean of (D,) accuracies with (B, D) weights, whatever the number of dialogues."""
    low, high = interval(weights @ accuracy / len(accuracy), LEVEL, MIN_DIALOGUES)
    return float(low), float(high)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    start = time.process_time()
    rows = [simulate(d, options.turns, options.trials, options.replicates) for d in DIALOGUES]
    facts = {
        "benchmark": "coverage",
        "nominal": LEVEL,
        "trials": options.trials,
        "replicates": options.replicates,
        "turns": options.turns,
        "cpu_s": round(time.process_time() - start, 1),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "numpy": np.__version__,
    }
    if not options.markdown:
        print(json.dumps(facts | {"rows": [asdict(row) for row in rows]}, indent=2))
        return
    lines = [
        "| dialogues | coverage over dialogues | standard error | mean width | coverage over utterances |",
        "|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.dialogues} | {r.by_dialogue:.3f} | {r.standard_error:.3f} | {r.width:.3f} | {r.by_utterance:.3f} |" for r in rows
    ]
    sys.stdout.write("\n".join([*lines, "", ", ".join(f"{name}: {value}" for name, value in facts.items()), ""]))


if __name__ == "__main__":
    main()
