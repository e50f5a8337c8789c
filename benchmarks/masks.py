"""How many mask positions a second one core draws; prints JSON.

A position is one frame of one modality of one utterance. ``whole_split`` reads the split at once (``Mask.missing_flat``),
``batches`` reads shuffled batches as training does (``Mask.present``); binding the plan to the split is timed apart.
Usage: ``python benchmarks/masks.py [--utterances 20000] [--repeats 3] [--patterns rmfm rmfm_iid ...]``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from lacuna.missing import Layout, Mask, MaskPlan, list_patterns


def sequences(utterances: int, shortest: int, longest: int) -> Layout:
    """Dialogues of 20 turns between two speakers; three modalities with frame counts of their own."""
    rng = np.random.default_rng(0)
    dialogue = np.arange(utterances) // 20
    return Layout(
        utterance=rng.integers(0, 2**64, utterances, np.uint64),
        dialogue=rng.integers(0, 2**64, utterances // 20 + 1, np.uint64)[dialogue],
        speaker=(dialogue * 2 + np.arange(utterances) % 2).astype(np.uint64),
        turn=np.arange(utterances) % 20,
        count={m: rng.integers(shortest, longest + 1, utterances) for m in ("text", "audio", "vision")},
        observed={},
    )


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def read_batches(mask: Mask, order: np.ndarray, size: int) -> None:
    """Read every batch of an epoch."""
    for low in range(0, len(order), size):
        mask.present(order[low : low + size])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=20_000)
    parser.add_argument("--shortest", type=int, default=50)
    parser.add_argument("--longest", type=int, default=500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patterns", nargs="+", default=list_patterns(), choices=list_patterns())
    options = parser.parse_args()
    layout = sequences(options.utterances, options.shortest, options.longest)
    order = np.random.default_rng(1).permutation(len(layout))
    positions = sum(int(count.sum()) for count in layout.count.values())
    patterns = {}
    for name in options.patterns:
        plan = MaskPlan(name, options.rate, seed=0)
        mask = plan.over(layout)
        whole = best(mask.missing_flat, options.repeats)
        batches = best(lambda mask=mask: read_batches(mask, order, options.batch), options.repeats)
        patterns[name] = {
            "bind_s": round(best(lambda plan=plan: plan.over(layout), options.repeats), 5),
            "positions_per_s": round(positions / whole),
            "positions_per_s_in_batches": round(positions / batches),
            "measured_rate": round(mask.measured(), 4),
        }
    print(
        json.dumps(
            {
                "benchmark": "masks",
                "utterances": len(layout),
                "positions": positions,
                "rate": options.rate,
                "batch": options.batch,
                "threads": 1,
                "cores": os.cpu_count(),
                "machine": platform.machine(),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "patterns": patterns,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
