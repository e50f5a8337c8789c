"""What a sampling loop in training costs; prints JSON.

Trains ``imder`` and ``rohydr`` on made-up sequences twice each: with one call of a network a missing modality, and with the
solver run in every training step, as published. Tells the median seconds of the epochs after the first, and their ratio.
Usage: ``python benchmarks/diffusion.py [--tokens 8] [--steps 50] [--utterances 256] [--epochs 3] [--threads 1]``; the papers have
48 tokens, and 100 (IMDer) or 50 (RoHyDR) steps.
"""

from __future__ import annotations

import argparse
import json
import os
from statistics import median

import numpy as np
import torch

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.statistics import fit_statistics
from lacuna.training import TrainingConfig, fit

DIMS = {"text": 768, "audio": 5, "vision": 20}
MODELS = ("imder", "rohydr")
VALID = 32  # few, because answering runs the solver in either case


def made_up(train: int, frames: int) -> Corpus:
    """Noise of the shape of MOSI, as many frames in every modality."""
    rng, total = np.random.default_rng(0), train + 2 * VALID
    return assemble(
        "made-up",
        ids=[f"u{i}" for i in range(total)],
        dialogues=[f"d{i // 8}" for i in range(total)],
        turns=[i % 8 for i in range(total)],
        channels={m: Channel(list(rng.normal(size=(total, frames, d)).astype(np.float32))) for m, d in DIMS.items()},
        targets=(Target("sentiment", "classification", ("negative", "neutral", "positive")),),
        labels={"sentiment": rng.integers(0, 3, total).astype(float)},
        splits=["train"] * train + ["valid"] * VALID + ["test"] * VALID,
    )


def epoch_seconds(corpus: Corpus, model: str, given: argparse.Namespace, *, sampled: bool) -> float:
    """Median seconds of an epoch."""
    config = TrainingConfig(
        epochs=given.epochs + 1, patience=0, batch_size=64, rates=(0.6,), valid_rates=(0.0,), threads=given.threads, device="cpu"
    )
    settings = {"tokens": given.tokens, "steps": given.steps, "sampled": sampled}
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    history = fit(model, corpus.schema(), *parts, config, settings=settings).history
    return median(row["seconds"] for row in history[1:])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("tokens", 8), ("steps", 50), ("utterances", 256), ("epochs", 3), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    corpus, found = made_up(given.utterances, max(8, given.tokens)), {}
    for model in MODELS:
        once, solved = (epoch_seconds(corpus, model, given, sampled=sampled) for sampled in (False, True))
        found[model] = {"one_call_s": round(once, 3), "solver_s": round(solved, 3), "ratio": round(solved / once, 1)}
    print(json.dumps({"epoch": found, **vars(given), "cores": os.cpu_count(), "torch": torch.__version__}, indent=2))


if __name__ == "__main__":
    main()
