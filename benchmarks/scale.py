"""Time, memory and size of the report with 1,000 classes and with 20 modalities, from training to the report.

Each corpus gets a process of its own, with one thread. Peak is the largest resident memory of that process, imports included.

    python benchmarks/scale.py
    python benchmarks/scale.py --only modalities --modalities 40
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = ("linear", "mlp")
TURNS = 20  # of a dialogue


def make_corpus(utterances: int, classes: int, modalities: int, dim: int) -> Any:
    """Return a corpus in which the class shifts the mean of every modality; 70 % train, 15 % valid, 15 % test."""
    import numpy as np

    from lacuna.corpus import Channel, Target, assemble

    rng = np.random.default_rng(0)
    emotion = rng.integers(classes, size=utterances)
    channels = {}
    for number in range(modalities):
        centres = rng.normal(size=(classes, dim))
        values = (centres[emotion] + rng.normal(size=(utterances, dim))).astype(np.float32)
        channels[f"m{number:02}"] = Channel(values)
    dialogue = np.arange(utterances) // TURNS
    share = dialogue / (dialogue.max() + 1)
    return assemble(
        name=f"c{classes}m{modalities}",
        ids=[f"u{number}" for number in range(utterances)],
        dialogues=[f"d{number}" for number in dialogue],
        turns=(np.arange(utterances) % TURNS).tolist(),
        channels=channels,
        targets=[Target("emotion", "classification", tuple(f"class {number}" for number in range(classes)))],
        labels={"emotion": emotion},
        splits=np.where(share < 0.7, "train", np.where(share < 0.85, "valid", "test")).tolist(),
    )


def measure(corpus: Any, patterns: list[str], rates: list[float], mask_seeds: list[int]) -> dict[str, Any]:
    """Return seconds, peak memory and size of the report of training, scoring and reporting."""
    import lacuna
    from lacuna.evaluation import EvaluationConfig, PatternSpec

    config = EvaluationConfig(tuple(map(PatternSpec, patterns)), tuple(rates), tuple(mask_seeds))
    masks = len(config.plans([modality.name for modality in corpus.modalities]))
    before, began = _peak(), time.perf_counter()
    result = lacuna.evaluate(MODELS, corpus, patterns=patterns, rates=rates, mask_seeds=mask_seeds, epochs=3, threads=1)
    evaluated, scored = time.perf_counter() - began, _peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        result.report(path)
        size = path.stat().st_size
    return {
        "utterances": len(corpus),
        "classes": len(corpus.targets[0].classes),
        "modalities": len(corpus.modalities),
        "models": len(MODELS),
        "masks": masks,
        "train and score, s": round(evaluated, 1),
        "report, s": round(time.perf_counter() - began - evaluated, 1),
        "before, MB": before,
        "scored, MB": scored,
        "peak, MB": _peak(),
        "report, MB": round(size / 1e6, 2),
    }


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def main() -> None:
    """Measure both corpora and print one JSON object each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["classes", "modalities"])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--modalities", type=int, default=20)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.here:
        for one in [options.only] if options.only else ["classes", "modalities"]:
            sizes = ["--classes", str(options.classes), "--modalities", str(options.modalities)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, __file__, "--here", "--only", one, *sizes], check=True, env=environment)
    elif options.only == "classes":
        rates = [round(0.1 * step, 1) for step in range(8)]
        print(json.dumps(measure(make_corpus(6000, options.classes, 2, 64), ["rmfm"], rates, list(range(8)))))
    else:
        print(json.dumps(measure(make_corpus(4000, 6, options.modalities, 16), ["fixed", "rmm"], [0.0, 0.3, 0.6], [0, 1, 2])))


if __name__ == "__main__":
    main()
