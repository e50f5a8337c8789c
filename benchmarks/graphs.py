"""Seconds of an epoch of the graph models on dialogues of the shape of CMU-MOSI, and the memory of the process; prints Markdown.

62 made-up training dialogues of 1447 utterances with features of width 100, 73 and 100; settings of training are those of
``conf/base``. With the real corpus (``$LACUNA_SHARED_DATA/cmu_mosi``) the same once more on it. Each model has its own process.
Usage: ``python benchmarks/graphs.py epoch [--epochs 5] [--models gcnet gcnet_small sdr_gnn gsdnet]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.splits import carve_valid
from lacuna.corpus.statistics import fit_statistics
from lacuna.training import Recipe, TrainingConfig, fit
from machine import Stopwatch, machine, peak_gigabytes

DIMS = {"text": 100, "audio": 73, "vision": 100}
DIALOGUES, UTTERANCES = 62, 1447  # of the training split of CMU-MOSI
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # name, settings, training
    "gcnet": ("gcnet", {}, {"batch_size": 512, "learning_rate": 0.002}),
    "gcnet_small": ("gcnet", {"hidden": 29, "recovery": 0.1}, {"batch_size": 512, "learning_rate": 0.002}),  # conf/mosi_graphs
    "sdr_gnn": ("sdr_gnn", {}, {"batch_size": 512, "learning_rate": 0.002}),
    "gsdnet": ("gsdnet", {}, {}),
}
REFERENCE = "GCNet's public code at h = 100 takes 1.3 s an epoch and 1.4 GB, measured on another machine, one thread."


def made_up() -> Corpus:
    """Noise in dialogues of uneven lengths, and a validation split of one short dialogue."""
    rng = np.random.default_rng(0)
    lengths = 1 + rng.multinomial(UTTERANCES - DIALOGUES, rng.dirichlet(np.full(DIALOGUES, 4.0)))
    lengths = np.append(lengths, [4, 4])
    total = int(lengths.sum())
    dialogue = np.repeat(np.arange(len(lengths)), lengths)
    splits = np.array(["train"] * DIALOGUES + ["valid", "test"])
    return assemble(
        "made-up",
        ids=[f"u{i}" for i in range(total)],
        dialogues=[f"d{d}" for d in dialogue],
        turns=np.concatenate([np.arange(n) for n in lengths]).tolist(),
        channels={m: Channel(list(rng.normal(size=(total, 1, d)).astype(np.float32))) for m, d in DIMS.items()},
        targets=(Target("sentiment", "classification", ("negative", "positive")),),
        labels={"sentiment": rng.integers(0, 2, total).astype(float)},
        splits=splits[dialogue].tolist(),
    )


def mosi() -> Path | None:
    """Where the real corpus is, if it is."""
    folder = Path(os.environ.get("LACUNA_SHARED_DATA", "")) / "cmu_mosi"
    return folder if os.environ.get("LACUNA_SHARED_DATA") and folder.is_dir() else None


def measured(label: str, real: bool, epochs: int) -> dict[str, Any]:
    """Seconds, parameters and memory of one model."""
    torch.set_num_threads(1)
    name, settings, training = MODELS[label]
    folder = mosi()
    corpus = made_up() if folder is None or not real else carve_valid(import_corpus(folder, importer="mosi-csv"), 0.2, 0)
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    config = TrainingConfig(epochs=1 + epochs, patience=0, valid_rates=(0.0,), threads=1, device="cpu", **training)
    watch = Stopwatch()
    fitted = fit(Recipe(name, corpus.schema(), *parts, config, settings), watch=watch)
    found, parameters = watch.timed(), fitted.trained.selection.parameters
    return {"wall": found.wall, "cpu": found.cpu, "parameters": parameters, "peak": peak_gigabytes()}


def table(labels: list[str], real: bool, epochs: int) -> list[str]:
    """One row a model."""
    lines = ["| model | parameters | epoch, s | epoch, CPU s | peak memory of the process, GB |", "|---|---|---|---|---|"]
    for label in labels:
        command = [sys.executable, __file__, "one", "--models", label, "--epochs", str(epochs), *(["--real"] if real else [])]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = f"{row['parameters']:,} | {row['wall']:.2f} | {row['cpu']:.2f} | {row['peak']:.2f}"
        lines.append(f"| {label} | {cells} |")
    return lines


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["epoch", "one"], help="one: what a process of its own is asked for")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "one":
        print(json.dumps(measured(given.models[0], given.real, given.epochs)))
        return
    print(f"`python benchmarks/graphs.py epoch`; median of {given.epochs} epochs after the first; {machine()}.\n")
    print("\n".join(table(given.models, False, given.epochs)))
    if mosi() is not None:
        print("\nThe same on CMU-MOSI itself, a fifth of its training dialogues less, which are validation:\n")
        print("\n".join(table(given.models, True, given.epochs)))
    print(f"\n{REFERENCE}")


if __name__ == "__main__":
    main()
